//! Why a session ended, a sign-in failed or a request was refused, and what to do next.

use kekkai_policy_api::{EndReason, SignInRefusal};
use kekkai_types::{Lang, Refusal};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use crate::codes::{CODES, DETAIL_KEPT, SESSION_ENDED};
use crate::message::{Said, said};
use crate::text::clean;

/// Why a session ended or never began, or why something was refused.
pub fn end_reason(reason: EndReason, lang: Lang) -> String {
    let (ja, en) = match reason {
        EndReason::ClosedByUser => (
            (
                "セッションを終了しました。",
                "続けるには、もう一度サインインしてください。",
            ),
            ("You ended the session.", "sign in again to go on."),
        ),
        EndReason::Idle => (
            (
                "操作がないまま上限の時間が過ぎたため、セッションを終了しました。",
                "続けるには、もう一度サインインしてください。",
            ),
            (
                "The session ended: there was no input for too long.",
                "sign in again to go on.",
            ),
        ),
        EndReason::Disconnected => (
            (
                "接続が切れたため、セッションを終了しました。",
                "ネットワークを確かめ、もう一度接続してください。",
            ),
            (
                "The session ended: the connection was lost.",
                "check the network and connect again.",
            ),
        ),
        EndReason::NoAgreement => (
            (
                "利用できる取決めがありません。",
                "取決めの名称を確かめ、研究開発責任者に問い合わせてください。利用が停止されたときは、運用担当者に連絡してください。",
            ),
            (
                "There is no agreement that you can use.",
                "check its name, or ask your principal investigator; if your use was suspended, contact the operator.",
            ),
        ),
        EndReason::AmbiguousAgreement => (
            (
                "利用できる取決めが複数あります。",
                "利用者名の後に取決めを付けて接続してください (例: ssh 利用者+取決め@…)。",
            ),
            (
                "Several agreements fit.",
                "name one when you connect: ssh PERSON+AGREEMENT@...",
            ),
        ),
        EndReason::AgreementEnded => (
            (
                "取決めが終了しました。",
                "研究開発責任者に問い合わせてください。申請済みの成果物の審査は続きます。",
            ),
            (
                "The agreement has ended.",
                "ask your principal investigator; outputs already submitted are still reviewed.",
            ),
        ),
        EndReason::OutsidePeriod => (
            (
                "取決めの期間の外です。",
                "取決めの期間を研究開発責任者に確かめてください。",
            ),
            (
                "This is outside the agreement's period.",
                "ask your principal investigator about the period.",
            ),
        ),
        EndReason::OutsideHours => (
            (
                "取決めで定めた利用日・時間帯の外です。",
                "定められた時間帯に接続してください。",
            ),
            (
                "This is outside the agreement's hours or days.",
                "connect within them.",
            ),
        ),
        EndReason::NotOnRoster => (
            (
                "この取決めの名簿に載っていません。",
                "研究開発責任者に名簿への登録を確かめてください。利用が停止されたときは、運用担当者に連絡してください。",
            ),
            (
                "You are not on the agreement's roster.",
                "ask your principal investigator about the roster; if your use was suspended, contact the operator.",
            ),
        ),
        EndReason::TerminalNotAllowed => (
            (
                "この端末は使えません。",
                "取決めで定めた端末から接続するか、運用担当者に端末の登録を確かめてください。",
            ),
            (
                "This terminal may not be used.",
                "use a terminal that the agreement names, or ask the operator about its registration.",
            ),
        ),
        EndReason::ConsoleOff => (
            (
                "この取決めでは、テキストコンソールは使えません。",
                "取決めで定めた端末 (VDI など) を使ってください。",
            ),
            (
                "The agreement allows no text console.",
                "use the kind of terminal that it names.",
            ),
        ),
        EndReason::EndedByStaff => (
            (
                "提供者の担当者がこの利用を終了しました。",
                "理由は提供者の担当者に確認してください。申請済みの成果物は残っています。",
            ),
            (
                "The producer's staff ended this session.",
                "ask them why; outputs that you submitted are kept.",
            ),
        ),
        EndReason::DesktopOff => (
            (
                "この端末またはこの取決めでは、デスクトップは使えません。",
                "取決めで定めた VDI・ブラウザ・オンサイトの端末を使うか、提供者へ、取決めへの [desktop] の追加を依頼してください。",
            ),
            (
                "There is no desktop at this terminal or under this agreement.",
                "use a VDI, browser or on-site terminal that the agreement names, or ask the producer to add [desktop] to it.",
            ),
        ),
        EndReason::FactorMissing => (
            (
                "本人確認が足りません。",
                "ブラウザでの生体認証による承認と、トークンのコードの両方でサインインしてください。",
            ),
            (
                "A factor of the sign-in is missing.",
                "sign in with both the approval in the browser and the token's code.",
            ),
        ),
        EndReason::RoleNotAllowed => (
            (
                "この操作をする権限がありません。",
                "担当の役割を運用担当者に確かめてください。",
            ),
            (
                "Your role does not allow this.",
                "ask the operator about your roles.",
            ),
        ),
        EndReason::OwnOutput => (
            (
                "自分の成果物については、この操作はできません。",
                "ほかの審査担当者に任せてください。",
            ),
            (
                "Nobody may do this to their own output.",
                "leave it to another reviewer.",
            ),
        ),
        EndReason::ServerNotTrusted => (
            (
                "解析サーバーの構成証明を確認できないため、セッションを利用できません。",
                "運用担当者に知らせてください。データの鍵は渡されていません。",
            ),
            (
                "The analysis server's attestation failed.",
                "tell the operator; no data key was released to it.",
            ),
        ),
        EndReason::ServerLost => (
            (
                "解析サーバー上のセッションが失われました。",
                "もう一度サインインしてください。繰り返すときは運用担当者に知らせてください。",
            ),
            (
                "The session was lost on the analysis server.",
                "sign in again; tell the operator if it happens again.",
            ),
        ),
        EndReason::ServiceUnavailable => (
            (
                "必要なサービスが応答しません。",
                "しばらくしてからやり直してください。続くときは運用担当者に知らせてください。",
            ),
            (
                "A service that must answer does not.",
                "try again later; tell the operator if it goes on.",
            ),
        ),
    };
    said(lang, ja, en).show(lang)
}

/// Why a sign-in was refused, as its person may know it. What would tell a stranger whether a
/// person exists or which factor was right is the same text; the ledger has the reason.
pub fn sign_in_refusal(reason: SignInRefusal, lang: Lang) -> String {
    let (ja, en) = match reason {
        SignInRefusal::UnknownPerson
        | SignInRefusal::TokenWrong
        | SignInRefusal::AssertionInvalid
        | SignInRefusal::ApprovalForeign
        | SignInRefusal::CounterWentBack => (
            (
                "サインインできませんでした。この失敗は記録されました。",
                "利用者名とコードを確かめ、もう一度サインインしてください。失敗が続くとロックされます。",
            ),
            (
                "The sign-in failed. It was recorded.",
                "check name and code and sign in again; repeated failures lock the account.",
            ),
        ),
        SignInRefusal::TokenReplayed => (
            (
                "そのトークンのコードは使用済みか、古いものです。",
                "トークンが次のコードを表示するまで待ち、もう一度サインインしてください。",
            ),
            (
                "That token code was used before, or is old.",
                "wait for the token's next code and sign in again.",
            ),
        ),
        SignInRefusal::Terminal => (
            (
                "この端末からはサインインできません。",
                "登録された端末を使うか、運用担当者に端末の登録を確かめてください。",
            ),
            (
                "Nobody can sign in from this terminal.",
                "use a registered terminal, or ask the operator about its registration.",
            ),
        ),
        SignInRefusal::Locked => (
            (
                "失敗が続いたため、ロックされています。",
                "運用担当者に解除を依頼してください。時間が過ぎても解除されません。",
            ),
            (
                "The account is locked after repeated failures.",
                "ask the operator to lift it; time does not.",
            ),
        ),
        SignInRefusal::ApprovalMissing => (
            (
                "時間内にブラウザでの承認がありませんでした。",
                "もう一度接続し、表示された接続コードを同じ端末のブラウザで承認してください。",
            ),
            (
                "No approval came in time.",
                "connect again and approve the connection code in this terminal's browser.",
            ),
        ),
        SignInRefusal::UserNotVerified => (
            (
                "認証器が生体による本人確認をしていません。",
                "認証器に指紋などを登録し、もう一度承認してください。",
            ),
            (
                "The authenticator did not verify you.",
                "enrol your finger with it and approve again.",
            ),
        ),
        SignInRefusal::ModelNotAllowed => (
            (
                "この型式の認証器は認められていません。",
                "認められた型式の認証器を運用担当者に確かめてください。",
            ),
            (
                "This model of authenticator is not allowed.",
                "ask the operator which models are.",
            ),
        ),
        SignInRefusal::SecurityKeyIsNotBiometric => (
            (
                "sk- 鍵は所持の確認であり、生体による本人確認にはなりません。",
                "端末の鍵で接続し、ブラウザで承認してください。",
            ),
            (
                "An sk- key proves possession, not a finger.",
                "connect with the terminal's key and approve in the browser.",
            ),
        ),
        SignInRefusal::Policy => (
            (
                "取決めにより、今は利用できません。",
                "取決めの期間・時間帯・名簿を研究開発責任者に確かめてください。",
            ),
            (
                "The agreements do not let you in now.",
                "ask your principal investigator about period, hours and roster.",
            ),
        ),
    };
    said(lang, ja, en).show(lang)
}

/// A refusal by another service. Codes are stable; one that isn't known here is shown as it is.
pub fn refusal(refusal: &Refusal, lang: Lang) -> String {
    if let Some(reason) = parsed::<EndReason>(&refusal.code) {
        let text = end_reason(reason, lang);
        let detail = clean(&refusal.detail);
        // Which measurement differs is what the operator needs to hear.
        let is_shown = reason == EndReason::ServerNotTrusted && !detail.is_empty();
        return match text.split_once('\n') {
            Some((what, next)) if is_shown => format!("{what}\n({detail})\n{next}"),
            _ => text,
        };
    }
    if let Some(reason) = parsed::<SignInRefusal>(&refusal.code) {
        return sign_in_refusal(reason, lang);
    }
    // A session that is over names its reason as the detail.
    if refusal.code == SESSION_ENDED
        && let Some(reason) = parsed::<EndReason>(&refusal.detail)
    {
        return end_reason(reason, lang);
    }
    let known = CODES.iter().find(|(code, _, _)| *code == refusal.code);
    let detail = clean(&refusal.detail);
    match known {
        Some((_, ja, en)) => {
            let Said { what, next } = said(lang, *ja, *en);
            let is_kept = DETAIL_KEPT.contains(&refusal.code.as_str());
            let what = if is_kept || detail.is_empty() {
                what
            } else {
                format!("{what} ({detail})")
            };
            Said { what, next }
        }
        None => {
            let code = clean(&refusal.code);
            let ja = format!("要求は受け付けられませんでした [{code}] {detail}");
            let en = format!("The request was refused [{code}] {detail}");
            said(
                lang,
                (
                    ja.trim_end(),
                    "運用担当者に、日時とこのコードを伝えてください。",
                ),
                (en.trim_end(), "tell the operator the time and this code."),
            )
        }
    }
    .show(lang)
}

pub(crate) fn parsed<'de, T: Deserialize<'de>>(code: &'de str) -> Option<T> {
    let text: StrDeserializer<'de, Error> = code.into_deserializer();
    T::deserialize(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::check;

    macro_rules! all {
        ($type:ident: $($variant:ident),* $(,)?) => {{
            // A new variant doesn't compile until it stands here.
            fn _complete(value: $type) {
                match value { $($type::$variant => {}),* }
            }
            [$($type::$variant),*]
        }};
    }

    #[test]
    fn every_reason_is_explained_in_both_languages() {
        let reasons = all!(EndReason: ClosedByUser, Idle, Disconnected, NoAgreement,
            AmbiguousAgreement, AgreementEnded, OutsidePeriod, OutsideHours, NotOnRoster,
            TerminalNotAllowed, ConsoleOff, EndedByStaff, DesktopOff, FactorMissing, RoleNotAllowed, OwnOutput,
            ServerNotTrusted, ServerLost, ServiceUnavailable);
        let mut seen = std::collections::BTreeSet::new();
        for reason in reasons {
            for lang in [Lang::Ja, Lang::En] {
                let shown = end_reason(reason, lang);
                check(&shown, lang);
                assert!(seen.insert(shown), "{reason:?} says what another says");
            }
        }
    }

    #[test]
    fn every_refused_sign_in_is_explained_in_both_languages() {
        let reasons = all!(SignInRefusal: UnknownPerson, Terminal, Locked, TokenWrong, TokenReplayed,
            ApprovalMissing, ApprovalForeign, AssertionInvalid, UserNotVerified, ModelNotAllowed,
            CounterWentBack, SecurityKeyIsNotBiometric, Policy);
        for reason in reasons {
            for lang in [Lang::Ja, Lang::En] {
                check(&sign_in_refusal(reason, lang), lang);
            }
        }
    }

    #[test]
    fn refused_sign_in_does_not_say_who_exists_or_which_factor_was_wrong() {
        for lang in [Lang::Ja, Lang::En] {
            let unknown = sign_in_refusal(SignInRefusal::UnknownPerson, lang);
            assert_eq!(unknown, sign_in_refusal(SignInRefusal::TokenWrong, lang));
            assert_eq!(
                unknown,
                sign_in_refusal(SignInRefusal::AssertionInvalid, lang)
            );
        }
    }

    #[test]
    fn every_code_is_explained_and_unknown_ones_are_shown() {
        for lang in [Lang::Ja, Lang::En] {
            for (code, _, _) in CODES {
                check(&refusal(&Refusal::new(code, "x\u{1b}[2J"), lang), lang);
                check(&refusal(&Refusal::new(code, ""), lang), lang);
            }
            let unknown = refusal(&Refusal::new("new-code", "place"), lang);
            check(&unknown, lang);
            assert!(unknown.contains("[new-code] place"), "{unknown}");
            let ended = refusal(&Refusal::new("session-ended", "agreement-ended"), lang);
            assert_eq!(ended, end_reason(EndReason::AgreementEnded, lang));
            let ours = refusal(&Refusal::new("internal", "/var/lib/secret"), lang);
            assert!(!ours.contains("/var"), "{ours}");
            let ended = refusal(&Refusal::new("agreement-ended", "ag-1"), lang);
            assert_eq!(ended, end_reason(EndReason::AgreementEnded, lang));
        }
    }
}
