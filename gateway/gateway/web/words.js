// Everything that the page itself says. What the session shows is pixels and never here.

const REASONS = {
  "closed-by-user": ["利用を終了しました。", "You left the session."],
  idle: ["操作がないまま時間が過ぎたため、利用を終了しました。", "The session ended: nothing was done in it for too long."],
  disconnected: ["接続が切れたまま時間が過ぎたため、利用を終了しました。", "The session ended: its screen was away for too long."],
  "agreement-ended": ["取決めが終了したか変更されたため、利用を終了しました。", "The session ended: the agreement ended or was changed."],
  "outside-period": ["取決めの期間外です。", "The agreement's period is over."],
  "outside-hours": ["利用時間が終わりました。", "The hours of use are over."],
  "not-on-roster": ["取扱者名簿から外れたため、利用を終了しました。利用が停止されたときは、運用担当者に連絡してください。", "The session ended: you are no longer on the roster. If your use was suspended, contact the operator."],
  "terminal-not-allowed": ["この端末は使えなくなりました。", "This terminal may no longer be used."],
  "desktop-off": ["この取決めでは、デスクトップは使えません。", "The agreement has no desktop any more."],
  "ended-by-staff": ["提供者の担当者がこの利用を終了しました。", "The producer's staff ended this session."],
  "server-not-trusted": ["解析サーバーを信頼できなくなったため、利用を終了しました。", "The session ended: its analysis server is no longer trusted."],
  "server-lost": ["解析サーバーが利用を終了しました。", "The analysis server ended the session."],
  "service-unavailable": ["必要なサービスが応答しません。", "A service that must answer does not."],
};

const WORDS = {
  connecting: ["接続しています…", "Connecting…"],
  opening: ["解析サーバーを検証し、利用を開始しています…", "Verifying the analysis server and starting the session…"],
  connected: ["接続しました。", "Connected."],
  locked: ["画面をロックしました。解析は続いています。", "The screen is locked. Your analyses go on."],
  cut: ["接続が切れました。解析は続いています。", "The line was cut. Your analyses go on."],
  again: ["続けるには、もう一度本人確認をしてください。", "To go on, verify yourself again."],
  replaced: ["別の画面がこの利用を引き継ぎました。", "Another screen took this one's place."],
  lost: ["解析サーバーとの接続が切れました。", "The analysis server is gone."],
  protocol: ["画面の通信が正しくないため、切断しました。", "Disconnected: what came was no picture."],
  watchOver: ["見ていた利用は終了しました。", "The session that you watched is over."],
  ended: ["利用は終了しました。", "The session is over."],
  anew: ["新しい利用を始める", "Start a new session"],
  next: ["提供者の担当者に確認してください。", "Ask the producer's staff."],
  person: ["ユーザー ID", "User name"],
  code: ["トークンのコード（6 桁）", "Token code (6 digits)"],
  go: ["認証器で本人確認をして続ける", "Verify with the authenticator and go on"],
  waiting: ["認証器の操作を待っています…", "Waiting for your authenticator…"],
  cancelled: ["認証器の操作が取り消されたか、時間切れです。", "The authenticator was cancelled or timed out."],
  screen: ["解析環境の画面", "Screen of the analysis environment"],
  typing: ["文字入力", "Text input"],
  watching: ["閲覧のみ", "Read only"],
};

const index = document.documentElement.lang === "ja" ? 0 : 1;

export const say = (name) => WORDS[name][index];

/** Why a session is over. */
export const reason = (name) => (REASONS[name] ?? WORDS.ended)[index];
