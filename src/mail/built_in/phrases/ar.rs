//! Arabic.

use super::{Direction, Inviter, Phrases};

const MONTHS: &str = "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "ar",
    direction: Direction::RightToLeft,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("دعوة من {inviter} للانضمام إلى {organization}"),
        None => format!("دعوة للانضمام إلى {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("دعوتك للانضمام إلى \u{2068}{organization}\u{2069} صالحة حتى {expires_on}.")
    },
    heading: |organization| format!("دعوة للانضمام إلى \u{2068}{organization}\u{2069}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) => {
            format!(
                "لقد تلقيت دعوة من \u{2068}{inviter}\u{2069} للانضمام إلى \u{2068}{organization}\u{2069}{with_roles}."
            )
        }
        Inviter::Address(inviter) => {
            format!(
                "لقد تلقيت دعوة من \u{2066}{inviter}\u{2069} للانضمام إلى \u{2068}{organization}\u{2069}{with_roles}."
            )
        }
        Inviter::Unknown => format!("لقد تلقيت دعوة للانضمام إلى \u{2068}{organization}\u{2069}{with_roles}."),
    },
    with_roles: |roles| {
        let isolated: Vec<String> = roles.iter().map(|role| format!("\u{2068}{role}\u{2069}")).collect();
        let with = match roles {
            [_] => "بدور",
            [_, _] => "بالدورين",
            _ => "بالأدوار",
        };
        format!(" {with} {}", isolated.join(" و"))
    },
    time: |it| {
        let (day, month, year, time) = (it.day(), it.month_name(MONTHS), it.year(), it.time());
        format!("{day} {month} {year}، \u{2066}{time} UTC\u{2069}")
    },
    button: "قبول الدعوة",
    code_label: "رمز الدعوة الخاص بك",
    code_hint: "يُرجى إدخال هذا الرمز عند طلبه، وعدم مشاركته مع أي شخص.",
    inviter_label: "الدعوة من",
    roles_label: "الأدوار",
    expires_label: "صالحة حتى",
    link_hint: "إذا لم يعمل الزر، يُرجى نسخ هذا العنوان إلى المتصفح:",
    sent_to: |invitee| format!("أُرسلت هذه الرسالة إلى \u{2066}{invitee}\u{2069}."),
    ignore: "إذا لم تكن هذه الدعوة متوقعة، فيمكن تجاهل هذه الرسالة بأمان.",
};
