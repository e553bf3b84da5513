//! What stands above and around a session: the banner, the welcome, `status`.

use kekkai_policy_api::ConsoleMode;
use kekkai_types::{AgreementId, Lang, ServerId, SessionId, TerminalClass, Timestamp};

use crate::lists::duration;
use crate::text::{clean, columns, pad_left_aligned, push_line};

/// What `status` shows.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// The person's name.
    pub person: &'a str,
    /// The agreement.
    pub agreement: &'a AgreementId,
    /// Its title.
    pub title: &'a str,
    /// The session.
    pub session: &'a SessionId,
    /// When it began.
    pub started: Timestamp,
    /// The present.
    pub now: Timestamp,
    /// Without input for this long, the session ends.
    pub idle_limit_s: u32,
    /// The analysis server.
    pub server: &'a ServerId,
    /// What the console may show.
    pub console: ConsoleMode,
    /// The terminal's class.
    pub class: TerminalClass,
    /// Whether TPM or authenticators are emulated.
    pub is_emulated: bool,
    /// Layers of the jail that the server's configuration waives.
    pub waived: &'a [String],
}

/// The line that stands on every screen where TPM or authenticators are emulated.
pub fn banner(lang: Lang) -> &'static str {
    lang.pick(
        "*** 模擬のTPMと認証器による実演です。実データには使えません ***\n\
         *** EMULATED TPM AND AUTHENTICATORS: DEMONSTRATION ONLY ***\n",
        "*** EMULATED TPM AND AUTHENTICATORS: DEMONSTRATION ONLY ***\n",
    )
}

/// What a person sees when an interactive session begins.
pub fn welcome(status: &Status<'_>, lang: Lang) -> String {
    let mut out = String::new();
    if status.is_emulated {
        out.push_str(banner(lang));
    }
    let (person, title) = (clean(status.person), clean(status.title));
    push_line(
        &mut out,
        &match lang {
            Lang::Ja => format!("{person} さん、ビジティング環境 結界 へようこそ。"),
            Lang::En => format!("Welcome to Kekkai, a visiting environment, {person}."),
        },
    );
    push_line(
        &mut out,
        &match lang {
            Lang::Ja => format!("研究課題: {title} ({})", status.agreement),
            Lang::En => format!("Project: {title} ({})", status.agreement),
        },
    );
    push_line(
        &mut out,
        lang.pick(
            "操作はすべて記録されます。データの持出しは審査を経た成果物だけです。",
            "Everything is recorded. Only outputs that passed review leave.",
        ),
    );
    push_line(
        &mut out,
        lang.pick(
            "次に: help で使い方、schema で使える表が見られます。",
            "next: help tells what can be asked, schema shows the tables.",
        ),
    );
    out
}

/// Project, session, server.
pub fn status(status: &Status<'_>, lang: Lang) -> String {
    let elapsed = status.now.ms_since(status.started).max(0);
    let elapsed = duration(u64::try_from(elapsed).unwrap_or(0), lang);
    let started = status.started.in_japan().strftime("%Y-%m-%d %H:%M:%S JST");
    let idle = duration(u64::from(status.idle_limit_s).saturating_mul(1000), lang);
    let emulated = if status.is_emulated {
        lang.pick(" (模擬TPM)", " (emulated TPM)")
    } else {
        ""
    };
    let waived: Vec<String> = status.waived.iter().map(|layer| clean(layer)).collect();
    let none = lang.pick("なし", "none");
    let waived = if waived.is_empty() {
        none.to_owned()
    } else {
        waived.join(", ")
    };
    let rows = [
        (lang.pick("利用者", "person"), clean(status.person)),
        (
            lang.pick("研究課題", "project"),
            format!("{} ({})", clean(status.title), status.agreement),
        ),
        (
            lang.pick("端末の種類", "terminal"),
            class(status.class, lang).to_owned(),
        ),
        (
            lang.pick("表示範囲", "console"),
            mode(status.console, lang).to_owned(),
        ),
        (
            lang.pick("セッション", "session"),
            status.session.to_string(),
        ),
        (lang.pick("開始", "since"), format!("{started} ({elapsed})")),
        (lang.pick("無操作の上限", "idle limit"), idle),
        (
            lang.pick("解析サーバー", "server"),
            format!("{}{emulated}", status.server),
        ),
        (lang.pick("省略した隔離", "waived isolation"), waived),
    ];
    let widest = rows
        .iter()
        .map(|(label, _)| columns(label))
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    if status.is_emulated {
        out.push_str(banner(lang));
    }
    for (label, value) in rows {
        let mut line = String::new();
        pad_left_aligned(&mut line, label, widest);
        line.push_str("  ");
        line.push_str(&value);
        push_line(&mut out, &line);
    }
    out
}

fn class(class: TerminalClass, lang: Lang) -> &'static str {
    match class {
        TerminalClass::Vdi => lang.pick("VDI クライアント", "VDI client"),
        TerminalClass::Onsite => lang.pick("オンサイトリサーチセンター", "on-site centre"),
        TerminalClass::Operator => lang.pick("運用端末", "operator"),
        TerminalClass::Browser => lang.pick("ブラウザ", "browser"),
        TerminalClass::Console => lang.pick("テキスト端末", "text console"),
    }
}

fn mode(mode: ConsoleMode, lang: Lang) -> &'static str {
    match mode {
        ConsoleMode::Off => lang.pick("なし", "nothing"),
        ConsoleMode::Status => lang.pick("状態・表の定義・ジョブ", "status, schemas and jobs"),
        ConsoleMode::Statistics => lang.pick(
            "自動チェックを通った統計まで",
            "statistics that pass the automatic checks",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_says_project_clock_server_and_emulation() {
        let (agreement, session) = (
            AgreementId::new("ag-1").unwrap(),
            SessionId::new("s0").unwrap(),
        );
        let server = ServerId::new("a1").unwrap();
        let waived = ["cgroup".to_owned()];
        let started = Timestamp(1_767_225_600_000);
        let mut shown = Status {
            person: "佐藤 花子",
            agreement: &agreement,
            title: "消化管出血の研究\u{1b}[2J",
            session: &session,
            started,
            now: started.plus_ms(754_000),
            idle_limit_s: 900,
            server: &server,
            console: ConsoleMode::Statistics,
            class: TerminalClass::Console,
            is_emulated: true,
            waived: &waived,
        };
        let ja = "\
*** 模擬のTPMと認証器による実演です。実データには使えません ***
*** EMULATED TPM AND AUTHENTICATORS: DEMONSTRATION ONLY ***
利用者        佐藤 花子
研究課題      消化管出血の研究\\u{1b}[2J (ag-1)
端末の種類    テキスト端末
表示範囲      自動チェックを通った統計まで
セッション    s0
開始          2026-01-01 09:00:00 JST (12 分 34 秒)
無操作の上限  15 分 0 秒
解析サーバー  a1 (模擬TPM)
省略した隔離  cgroup
";
        assert_eq!(status(&shown, Lang::Ja), ja);
        shown.is_emulated = false;
        shown.waived = &[];
        shown.title = "GI bleeding";
        let en = "\
person            佐藤 花子
project           GI bleeding (ag-1)
terminal          text console
console           statistics that pass the automatic checks
session           s0
since             2026-01-01 09:00:00 JST (12 min 34 s)
idle limit        15 min 0 s
server            a1
waived isolation  none
";
        assert_eq!(status(&shown, Lang::En), en);
        let welcomed = welcome(&shown, Lang::En);
        assert!(!welcomed.contains("EMULATED"));
        assert!(welcomed.contains("Project: GI bleeding (ag-1)"));
        shown.is_emulated = true;
        assert!(welcome(&shown, Lang::Ja).contains("EMULATED TPM AND AUTHENTICATORS"));
        assert!(welcome(&shown, Lang::En).contains("EMULATED TPM AND AUTHENTICATORS"));
    }
}
