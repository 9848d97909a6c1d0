//! The table of facts is in order, and says what Apple's pages say.

#![allow(clippy::unwrap_used)]

use lanyard_commands::{AccessRights, Facts, Platform, Query};

#[test]
fn every_command_is_found_by_its_name() {
    for facts in Facts::all() {
        assert_eq!(Facts::of(facts.request_type), Some(facts));
    }
    assert!(Facts::all().is_sorted_by(|a, b| a.request_type < b.request_type));
    assert_eq!(Facts::of("deviceLock"), None);
}

#[test]
fn the_typed_commands_have_the_documented_facts() {
    for (name, right, destructive, never_not_now, user_enrollment, macos) in [
        ("DeviceInformation", 0, false, true, true, Some("10.7")),
        ("SecurityInfo", 1024, false, false, true, Some("10.7")),
        ("DeviceLock", 4, true, true, true, Some("10.7")),
        ("ClearPasscode", 4, true, true, false, None),
        ("EraseDevice", 8, true, true, false, Some("10.7")),
        ("ProfileList", 1, false, true, true, Some("10.7")),
        ("InstallProfile", 2, false, false, true, Some("10.7")),
        ("RemoveProfile", 2, false, false, true, Some("10.7")),
    ] {
        let facts = Facts::of(name).unwrap();
        assert_eq!(facts.right.bits(), right, "{name}");
        assert_eq!(facts.destructive, destructive, "{name}");
        assert_eq!(facts.never_not_now_on_ios, never_not_now, "{name}");
        let ios = facts.on(Platform::Ios).unwrap();
        assert_eq!((ios.since, ios.supervised), ("4.0", false), "{name}");
        assert_eq!(ios.user_enrollment, user_enrollment, "{name}");
        let on_macos = facts.on(Platform::Macos).map(|macos| macos.since);
        assert_eq!(on_macos, macos, "{name}");
    }
}

#[test]
fn versions_compare_number_by_number() {
    let restart = Facts::of("RestartDevice").unwrap();
    let ios = restart.on(Platform::Ios).unwrap();
    assert!(ios.supervised);
    for (version, includes) in [
        ("10.3", true),
        ("10.3.1", true),
        ("10.10", true),
        ("11", true),
        ("10.2.9", false),
        ("9.9", false),
        ("10", false),
        ("", false),
        ("99999999999999999999999", false),
    ] {
        assert_eq!(ios.includes(version), includes, "{version}");
    }
    let enterprise = Facts::of("InstallEnterpriseApplication").unwrap();
    let macos = enterprise.on(Platform::Macos).unwrap();
    assert!(macos.includes("10.13.6") && !macos.includes("10.13"));
}

#[test]
fn products_belong_to_platforms() {
    for (product, platform) in [
        ("iPhone17,1", Some(Platform::Ios)),
        ("iPad4,1", Some(Platform::Ios)),
        ("iMac15,1", Some(Platform::Macos)),
        ("MacBookPro18,3", Some(Platform::Macos)),
        ("Mac14,2", Some(Platform::Macos)),
        ("VirtualMac2,1", Some(Platform::Macos)),
        ("AppleTV11,1", Some(Platform::Tvos)),
        ("Watch7,1", Some(Platform::Watchos)),
        ("RealityDevice14,1", Some(Platform::Visionos)),
        ("Toaster1,1", None),
        ("", None),
    ] {
        assert_eq!(Platform::of_product(product), platform, "{product}");
    }
}

#[test]
fn queries_take_the_documented_rights() {
    for (query, right) in [
        (Query::UDID, AccessRights::NONE),
        (Query::SERIAL_NUMBER, AccessRights::QUERY_DEVICE),
        (Query::WIFI_MAC, AccessRights::QUERY_NETWORK),
        (
            Query::ITUNES_STORE_ACCOUNT_IS_ACTIVE,
            AccessRights::MANAGE_APPLICATIONS,
        ),
        (
            Query::named("FutureFact").unwrap(),
            AccessRights::QUERY_DEVICE,
        ),
    ] {
        assert_eq!(query.right(), right, "{query}");
    }
}

#[test]
fn rights_are_a_set() {
    let lock_and_erase = AccessRights::LOCK_AND_REMOVE_PASSCODE | AccessRights::ERASE;
    assert_eq!(lock_and_erase.bits(), 12);
    assert!(AccessRights::ALL.contains(lock_and_erase));
    assert!(lock_and_erase.contains(AccessRights::NONE));
    assert!(!AccessRights::ERASE.contains(lock_and_erase));
    assert_eq!(lock_and_erase.without(AccessRights::ERASE).bits(), 4);
    assert_eq!(AccessRights::from_bits(u16::MAX), AccessRights::ALL);
}
