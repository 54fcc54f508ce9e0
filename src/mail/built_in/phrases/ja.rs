//! Japanese.

use super::{Direction, Inviter, Phrases};

pub(super) static PHRASES: Phrases = Phrases {
    locale: "ja",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter}さんから{organization}への招待が届いています"),
        None => format!("{organization}への招待が届いています"),
    },
    preheader: |organization, expires_on| format!("{organization}への招待の有効期限は {expires_on} です。"),
    heading: |organization| format!("{organization}への招待"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) => format!("{inviter}さんから、{organization}に{with_roles}招待されました。"),
        Inviter::Address(inviter) => format!("{inviter} さんから、{organization}に{with_roles}招待されました。"),
        Inviter::Unknown => format!("{organization}に{with_roles}招待されました。"),
    },
    with_roles: |roles| format!("「{}」のロールで", roles.join("」「")),
    time: |it| format!("{}年{}月{}日 {} UTC", it.year(), it.month(), it.day(), it.time()),
    button: "招待を受ける",
    code_label: "招待コード",
    code_hint: "求められたら、このコードを入力してください。他の人には教えないでください。",
    inviter_label: "招待者",
    roles_label: "ロール",
    expires_label: "有効期限",
    link_hint: "ボタンが動作しない場合は、次のURLをブラウザで開いてください。",
    sent_to: |invitee| format!("このメールは {invitee} 宛てに送信されました。"),
    ignore: "この招待に心当たりがない場合は、このメールを無視してください。",
};
