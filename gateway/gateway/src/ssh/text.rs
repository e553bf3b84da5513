//! What the SSH door itself says, in both languages.

use kekkai_types::Lang;

/// A text in both languages.
#[derive(Debug, Clone, Copy)]
pub struct Both {
    ja: &'static str,
    en: &'static str,
}

impl Both {
    /// In one language.
    pub fn get(self, lang: Lang) -> &'static str {
        lang.pick(self.ja, self.en)
    }
}

macro_rules! text {
    ($($name:ident: $ja:literal, $en:literal;)*) => {
        $(
            #[doc = $en]
            pub(crate) const $name: Both = Both { ja: $ja, en: $en };
        )*
    };
}

text! {
    GRACE_OVER: "時間内にサインインが完了しませんでした。", "sign-in was not completed in time";
    STOPPING: "ゲートウェイを停止します。しばらくしてから接続し直してください。", "the gateway is stopping; connect again later";
    TOO_MANY_REFUSALS: "許可されていない要求が多すぎるため切断します。", "too many requests that are not allowed";
    UNUSED: "使われていない接続を閉じます。", "closing a connection that nobody uses";
    SESSION_OVER: "セッションは終了しました。", "the session is over";
    STARTING: "セッションを開始しています…", "starting session…";
    REFUSED_SUBSYSTEM: "kekkai: ファイル転送などのサブシステムはありません。この要求は記録されました。", "kekkai: there are no subsystems here, no file transfer. This request was recorded.";
    NO_SESSION: "kekkai: セッションを開始できません", "kekkai: no session can be started";
    UNAVAILABLE: "kekkai: 必要なサービスが応答しません。しばらくしてからやり直してください。", "kekkai: a service that must answer does not; try again later";
    BUSY: "kekkai: 同時セッション数の上限に達しています。しばらくしてからやり直してください。", "kekkai: too many sessions at once; try again later";
    DEMO: "*** デモ環境: 認証器は模擬であり、本人確認の効力はありません ***", "*** DEMONSTRATION: authenticators are emulated and prove nobody's identity ***";
    SCREEN_OVER: "この画面の接続は終わりました。", "this screen is over";
    SCREEN_LOCKED: "画面をロックしました。セッションは続いています。続けるには、もう一度サインインしてください。", "the screen is locked and the session goes on; sign in again to continue";
    SCREEN_REPLACED: "別の画面が開かれたため、この画面を閉じました。", "another screen was opened, so this one was closed";
    SCREEN_SERVER_GONE: "解析サーバーとの接続が切れました。しばらくしてからサインインし直してください。", "the connection to the analysis server was lost; sign in again later";
    SCREEN_OUT_OF_PROTOCOL: "クライアントの通信が正しくないため切断しました。この記録は残ります。", "the client did not keep to the protocol, so it was cut off; this was recorded";
    SCREEN_NO_SIZE: "クライアントが画面の大きさを示しませんでした。", "the client did not say how large its screen is";
    TOO_FAST: "kekkai: 入力が速すぎます。", "kekkai: input is too fast";
    SOURCE_PAUSED: "kekkai: スクリプトが届かないため、実行も保存もしませんでした。", "kekkai: no script came; nothing was run or kept";
}

/// The one prompt of `keyboard-interactive`. Its language can't depend on the person: that would say
/// who exists. English stands first, since OpenSSH escapes other scripts where the locale has none.
pub(crate) fn prompt(code: &str, url: &str, is_demo: bool) -> String {
    let demo = if is_demo {
        format!("{}\n{}\n", DEMO.en, DEMO.ja)
    } else {
        String::new()
    };
    format!(
        "{demo}Connection code: {code}\n\
         Approve it in this terminal's browser: {url}/approve\n\
         接続コードをこの端末のブラウザで承認し、トークンのコードを入力してください。\n\
         Token code / トークンのコード: "
    )
}
