//! Arabic.

use super::{Direction, Inviter, Phrases};

pub(super) static PHRASES: Phrases = Phrases {
    locale: "ar",
    direction: Direction::RightToLeft,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("دعوة من {inviter} للانضمام إلى {organization}"),
        None => format!("دعوة للانضمام إلى {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("دعوتك للانضمام إلى \u{2068}{organization}\u{2069} صالحة حتى \u{2066}{expires_on}\u{2069}.")
    },
    heading: |organization| format!("دعوة للانضمام إلى \u{2068}{organization}\u{2069}"),
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) => {
            format!("لقد تلقيت دعوة من \u{2068}{inviter}\u{2069} للانضمام إلى \u{2068}{organization}\u{2069} بصفة عضو.")
        }
        Inviter::Address(inviter) => {
            format!("لقد تلقيت دعوة من \u{2066}{inviter}\u{2069} للانضمام إلى \u{2068}{organization}\u{2069} بصفة عضو.")
        }
        Inviter::Unknown => format!("لقد تلقيت دعوة للانضمام إلى \u{2068}{organization}\u{2069} بصفة عضو."),
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
