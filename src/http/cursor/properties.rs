//! Properties of cursors.

use crate::{
    domain::ids::{InvitationId, TenantId},
    http::cursor::Cursors,
    store::list::Filters,
};
use proptest::prelude::*;

use crate::arbitrary::{cases, text};

fn tenant() -> impl Strategy<Value = TenantId> {
    "[ab]{1,2}".prop_map(|name| TenantId::parse(&name).unwrap())
}

fn id() -> impl Strategy<Value = InvitationId> {
    "[0-9a-z]{21}".prop_map(|id| InvitationId::parse(&id).unwrap())
}

/// Filters of few letters, so that two lists are often nearly the same.
fn filters() -> impl Strategy<Value = Filters> {
    let filter = || prop::option::of("[ab]{0,2}");
    (filter(), filter(), filter()).prop_map(|(organization_id, inviter_id, invitee)| Filters {
        organization_id,
        inviter_id,
        invitee,
        pending_at: None,
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_cursor_can_be_read_by_its_own_list(tenant in tenant(), filters in filters(), last in id()) {
        let cursors = Cursors::new(&tenant, &filters);
        prop_assert_eq!(cursors.read(&cursors.write(&last)), Some(last));
    }

    #[test]
    fn a_cursor_of_one_list_is_invalid_for_another(
        one in (tenant(), filters()), other in (tenant(), filters()), last in id()
    ) {
        let cursor = Cursors::new(&one.0, &one.1).write(&last);
        let opened = Cursors::new(&other.0, &other.1).read(&cursor);
        prop_assert_eq!(opened, Some(last).filter(|_| one == other));
    }

    #[test]
    fn a_changed_cursor_is_invalid(
        filters in filters(), last in id(), at in any::<prop::sample::Index>(), with in any::<char>()
    ) {
        let cursors = Cursors::new(&TenantId::parse("t").unwrap(), &filters);
        let cursor: Vec<char> = cursors.write(&last).chars().collect();
        let mut changed = cursor.clone();
        changed[at.index(cursor.len())] = with;
        if changed != cursor {
            prop_assert_eq!(cursors.read(&changed.into_iter().collect::<String>()), None);
        }
    }

    #[test]
    fn a_made_up_cursor_is_invalid(cursor in prop_oneof![text(), "[A-Za-z0-9_-]{0,80}"]) {
        let cursors = Cursors::new(&TenantId::parse("t").unwrap(), &Filters::default());
        prop_assert_eq!(cursors.read(&cursor), None);
    }
}
