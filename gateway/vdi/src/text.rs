//! What the client itself says, in both languages. What happened, then what to do next.

use kekkai_types::{EndReason, Lang};

use crate::fido::{FidoError, Progress};
use crate::link::{End, Refusal, Step};

/// A notice: what happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One line.
    pub title: String,
    /// What to do.
    pub advice: String,
}

impl Notice {
    fn new(lang: Lang, ja: (&str, &str), en: (&str, &str)) -> Self {
        Self {
            title: lang.pick(ja.0, en.0).to_owned(),
            advice: lang.pick(ja.1, en.1).to_owned(),
        }
    }

    /// With something that only the case knows behind it.
    fn with(mut self, detail: &str) -> Self {
        let detail = detail.trim();
        if !detail.is_empty() {
            self.advice.push('\n');
            self.advice.push_str(detail);
        }
        self
    }
}

macro_rules! phrases {
    ($($name:ident: $ja:literal, $en:literal;)*) => {
        $(
            #[doc = $en]
            pub fn $name(lang: Lang) -> &'static str {
                lang.pick($ja, $en)
            }
        )*
    };
}

phrases! {
    title: "結界 — サインイン", "Kekkai — sign in";
    who: "利用者名（取決めが複数あるときは 利用者名+取決め）", "Your name (with several agreements: NAME+AGREEMENT)";
    who_malformed: "利用者名、または 利用者名+取決め を入力してください。", "Enter your name, or NAME+AGREEMENT.";
    code: "トークンに表示されている6桁の数字", "The six digits that your token shows";
    go_on: "Enter で進む", "Enter: go on";
    sign_in_again: "Enter でもう一度サインイン", "Enter: sign in again";
    leave: "Esc で終了", "Esc: leave";
    another: "Esc で別の利用者に切替え", "Esc: another person";
    watched: "この画面を見ているものがあるため、表示しません。セッションは保持されています。",
        "Something may be watching this screen; nothing is shown. A session that runs is kept.";
    bad_configuration: "設定ファイルを使えません", "the configuration can't be used";
    unprotected_refused: "この端末では画面の保護ができないため、起動しません",
        "not started, since this display isn't protected";
    no_window: "画面を開けません", "no window can be opened";
    give_up: "Esc で中止", "Esc: give up";
    unprotected: "この端末では画面の保護（撮影の禁止）をOSが行えません。運用者の承認の下で表示しています。",
        "The operating system can't protect this display from capture. It is shown by the operator's decision.";
}

/// Where signing in is.
pub fn step(step: Step, lang: Lang) -> &'static str {
    match step {
        Step::Connecting => lang.pick("ゲートウェイに接続しています…", "Calling the gateway…"),
        Step::ShowingTerminal => {
            lang.pick("この端末を確認しています…", "Showing this terminal's key…")
        }
        Step::Authenticator(Progress::Working) => {
            lang.pick("認証器を呼び出しています…", "Asking your authenticator…")
        }
        Step::Authenticator(Progress::FingerNeeded) => lang.pick(
            "認証器に、登録した指を当ててください。",
            "Put your enrolled finger on the authenticator.",
        ),
        Step::CodeNeeded => code(lang),
        Step::Verifying => lang.pick("確認しています…", "Verifying…"),
        Step::Opening => lang.pick("セッションを開いています…", "Opening the session…"),
    }
}

/// Why the line is over. `None`: the person left, and knows.
pub fn end(end: &End, lang: Lang) -> Option<Notice> {
    let notice = |ja, en| Notice::new(lang, ja, en);
    Some(match end {
        End::Left => return None,
        End::Locked => notice(
            (
                "画面をロックしました。",
                "セッションは続いています。もう一度サインインすると、同じ画面に戻ります。",
            ),
            (
                "The screen is locked.",
                "The session goes on. Sign in again to return to it.",
            ),
        ),
        End::Cut => notice(
            (
                "回線が切れました。",
                "セッションはしばらく保持されます。もう一度サインインすると、同じ画面に戻ります。",
            ),
            (
                "The line was cut.",
                "The session is kept for a while. Sign in again to go on.",
            ),
        ),
        End::Replaced => notice(
            (
                "この画面は別の接続に引き継がれました。",
                "心当たりがないときは、すぐに運用担当者に知らせてください。",
            ),
            (
                "Another connection took this screen over.",
                "If that was not you, tell the operator at once.",
            ),
        ),
        End::Ended { reason, said } => {
            let reason = ended(reason, lang).unwrap_or(reason.as_str());
            let said = if said.is_empty() {
                reason
            } else {
                said.as_str()
            };
            notice(
                (
                    "セッションは終了しました。",
                    "続けるには、新しくサインインしてください。",
                ),
                ("The session is over.", "Sign in to open another."),
            )
            .with(said)
        }
        End::Violation(what) => notice(
            (
                "ゲートウェイから不正なデータが届いたため、接続を閉じました。",
                "運用担当者に日時を伝えてください。",
            ),
            (
                "The gateway sent what no gateway sends; the line was closed.",
                "Tell the operator the time.",
            ),
        )
        .with(what),
        End::Fault(said) => notice(
            (
                "セッションを表示できません。",
                "しばらくしてからやり直してください。続くときは運用担当者に知らせてください。",
            ),
            (
                "The session can't be shown.",
                "Try again later; tell the operator if it goes on.",
            ),
        )
        .with(said),
        End::Refused(refusal) => refused(refusal, lang),
    })
}

/// A reason of the policy service; `None` for one that this version doesn't know.
fn ended(code: &str, lang: Lang) -> Option<&'static str> {
    let reason = serde_json::from_value(serde_json::Value::from(code)).ok()?;
    let (ja, en) = match reason {
        EndReason::ClosedByUser => ("利用者が終了しました。", "You ended it."),
        EndReason::Idle => (
            "操作がないまま上限の時間が過ぎました。",
            "There was no input for too long.",
        ),
        EndReason::Disconnected => (
            "回線が切れたまま上限の時間が過ぎました。",
            "The line was cut for too long.",
        ),
        EndReason::EndedByStaff => (
            "提供者の担当者が終了しました。理由は担当者に確認してください。",
            "The producer's staff ended it. Ask them why.",
        ),
        EndReason::DesktopOff => (
            "この端末またはこの取決めでは、デスクトップは使えません。",
            "There is no desktop at this terminal or under this agreement.",
        ),
        EndReason::NoAgreement => (
            "利用できる取決めがありません。",
            "There is no agreement that you can use.",
        ),
        EndReason::AmbiguousAgreement => (
            "取決めが複数あります。利用者名+取決め で指定してください。",
            "Several agreements fit. Sign in as NAME+AGREEMENT.",
        ),
        EndReason::AgreementEnded => ("取決めが終了しました。", "The agreement has ended."),
        EndReason::OutsidePeriod => (
            "取決めの期間の外です。",
            "This is outside the agreement's period.",
        ),
        EndReason::OutsideHours => (
            "取決めで定めた利用日・時間帯の外です。",
            "This is outside the agreement's hours or days.",
        ),
        EndReason::NotOnRoster => (
            "取決めの名簿に載っていません。",
            "You are not on the agreement's roster.",
        ),
        EndReason::TerminalNotAllowed => {
            ("この端末は使えません。", "This terminal may not be used.")
        }
        EndReason::ServerNotTrusted => (
            "解析サーバーの構成証明を確認できません。",
            "The analysis server's attestation failed.",
        ),
        EndReason::ServerLost => (
            "解析サーバー上のセッションが失われました。",
            "The session was lost on the analysis server.",
        ),
        EndReason::ServiceUnavailable => (
            "必要なサービスが応答しません。",
            "A service that must answer does not.",
        ),
        _ => return None,
    };
    Some(lang.pick(ja, en))
}

fn refused(refusal: &Refusal, lang: Lang) -> Notice {
    let notice = |ja, en| Notice::new(lang, ja, en);
    match refusal {
        Refusal::Unreachable(cause) => notice(
            (
                "ゲートウェイに接続できません。",
                "ネットワークを確かめて、やり直してください。",
            ),
            (
                "The gateway can't be reached.",
                "Check the network and try again.",
            ),
        )
        .with(&cause.to_string()),
        Refusal::HostKey(shown) => notice(
            (
                "接続先は登録されたゲートウェイではありません。",
                "何も送信していません。すぐに運用担当者に知らせてください。",
            ),
            (
                "Whoever answers is not the gateway that this terminal knows.",
                "Nothing was sent. Tell the operator at once.",
            ),
        )
        .with(shown),
        Refusal::TerminalKey(what) => notice(
            (
                "この端末の鍵を使えません。",
                "運用担当者に知らせてください。",
            ),
            ("This terminal's key can't be used.", "Tell the operator."),
        )
        .with(what),
        Refusal::Terminal => notice(
            (
                "この端末またはこの利用者では接続できません。",
                "利用者名を確かめてください。続くときは運用担当者に知らせてください。",
            ),
            (
                "This person can't connect at this terminal.",
                "Check your name; tell the operator if it goes on.",
            ),
        ),
        Refusal::Authenticator(error) => authenticator(error, lang),
        Refusal::Person(said) => notice(
            (
                "サインインできませんでした。",
                "新しい数字を待って、やり直してください。続けて失敗するとロックされます。",
            ),
            (
                "You were not signed in.",
                "Wait for a new code and try again. Repeated failures lock your account.",
            ),
        )
        .with(said),
        Refusal::TooSlow => notice(
            (
                "時間内にサインインが完了しませんでした。",
                "もう一度やり直してください。",
            ),
            ("Signing in took too long.", "Try again."),
        ),
        Refusal::Broken(what) => notice(
            (
                "サインインの途中で接続が切れました。",
                "もう一度やり直してください。続くときは運用担当者に知らせてください。",
            ),
            (
                "The connection broke while signing in.",
                "Try again; tell the operator if it goes on.",
            ),
        )
        .with(what),
    }
}

fn authenticator(error: &FidoError, lang: Lang) -> Notice {
    let notice = |ja, en| Notice::new(lang, ja, en);
    match error {
        FidoError::NoDevice => notice(
            (
                "認証器が見つかりません。",
                "認証器を差し込んで、やり直してください。",
            ),
            (
                "No authenticator was found.",
                "Plug yours in and try again.",
            ),
        ),
        FidoError::NotVerified => notice(
            (
                "指を確認できませんでした。",
                "登録した指で、やり直してください。",
            ),
            (
                "Your finger was not recognised.",
                "Try again with the enrolled one.",
            ),
        ),
        FidoError::Blocked => notice(
            (
                "認証器がロックされています。",
                "運用担当者に知らせてください。",
            ),
            ("The authenticator is blocked.", "Tell the operator."),
        ),
        FidoError::NoBiometric => notice(
            (
                "この認証器には指紋が登録されていません。",
                "運用担当者に知らせてください。",
            ),
            (
                "No fingerprint is enrolled on this authenticator.",
                "Tell the operator.",
            ),
        ),
        FidoError::NoCredential => notice(
            (
                "この認証器はこの利用者のものとして登録されていません。",
                "利用者名と認証器を確かめてください。",
            ),
            (
                "This authenticator isn't enrolled for this person.",
                "Check your name and your authenticator.",
            ),
        ),
        FidoError::Busy => notice(
            (
                "認証器は別のプログラムが使っています。",
                "しばらくしてからやり直してください。",
            ),
            (
                "Another program is using the authenticator.",
                "Try again later.",
            ),
        ),
        FidoError::ForeignOrigin { .. } => notice(
            (
                "ゲートウェイが別のサイト名での署名を求めたため、中止しました。",
                "すぐに運用担当者に知らせてください。",
            ),
            (
                "The gateway asked for a signature in another site's name; nothing was signed.",
                "Tell the operator at once.",
            ),
        )
        .with(&error.to_string()),
        FidoError::Cancelled => notice(
            ("中止しました。", "もう一度やり直せます。"),
            ("It was given up.", "You can try again."),
        ),
        other => notice(
            (
                "認証器を使えませんでした。",
                "差し直して、やり直してください。続くときは運用担当者に知らせてください。",
            ),
            (
                "The authenticator could not be used.",
                "Plug it in anew and try again; tell the operator if it goes on.",
            ),
        )
        .with(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_session_says_why_in_both_languages() {
        let over = |reason: &str, said: &str| End::Ended {
            reason: reason.to_owned(),
            said: said.to_owned(),
        };
        let notice = end(&over("ended-by-staff", ""), Lang::En).unwrap();
        assert!(notice.advice.contains("staff"), "{notice:?}");
        let notice = end(&over("ended-by-staff", ""), Lang::Ja).unwrap();
        assert!(notice.advice.contains("担当者"), "{notice:?}");
        // The gateway's own words win; an unknown code is shown as it is.
        let notice = end(&over("idle", "because"), Lang::En).unwrap();
        assert!(notice.advice.ends_with("because"), "{notice:?}");
        let notice = end(&over("from-the-future", ""), Lang::En).unwrap();
        assert!(notice.advice.ends_with("from-the-future"), "{notice:?}");
    }
}
