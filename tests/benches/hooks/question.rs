//! The question that everybody is asked: about a kibibyte of text, as a device with a person of some groups makes it.

use std::collections::BTreeMap;

use lanyard_policy::{Attestation, Decision, DeviceFacts, EnrollmentQuestion, Person};

pub(crate) fn question() -> EnrollmentQuestion {
    let groups = (0..12).map(|n| format!("cn=group-{n:02},ou=groups,dc=example,dc=org"));
    let attributes = BTreeMap::from([
        ("groups".to_owned(), groups.collect()),
        ("mail".to_owned(), vec!["person@example.org".to_owned()]),
    ]);
    EnrollmentQuestion {
        decision: Decision {
            id: "7e6a5a0e-0d4e-4a52-9f3a-1f3f6f6f2f11".to_owned(),
            at_ms: 1_750_000_000_000,
            seed: [7; 32],
            meter: Default::default(),
        },
        session: "0b7b0f7c-6b0d-4b43-8d0b-5a0f6b1c2d3e".to_owned(),
        person: Person {
            directory: "corp".to_owned(),
            id: "uid=person,ou=people,dc=example,dc=org".to_owned(),
            display_name: "A Person".to_owned(),
            attributes,
        },
        device: DeviceFacts {
            udid: "00008120-0000000000000001".to_owned(),
            serial: Some("C39XK0AAAAAA".to_owned()),
            product: Some("iPhone15,2".to_owned()),
            os_version: Some("18.5".to_owned()),
            build: Some("22F76".to_owned()),
            imei: Some("35 123456 789012 3".to_owned()),
            meid: None,
            further: BTreeMap::from([("DeviceName".to_owned(), "A telephone".into())]),
        },
        attestation: Attestation::Apple,
        remote_address: "192.0.2.1".to_owned(),
    }
}

/// Bytes of text in it.
pub(crate) fn text_bytes() -> usize {
    let question = question();
    let attributes = &question.person.attributes;
    let of_person: usize = attributes
        .iter()
        .flat_map(|(name, values)| std::iter::once(name).chain(values))
        .map(String::len)
        .sum();
    let device = &question.device;
    let known = [
        &device.serial,
        &device.product,
        &device.os_version,
        &device.build,
        &device.imei,
    ];
    let of_device: usize = known.into_iter().flatten().map(String::len).sum();
    let others = [
        &question.decision.id,
        &question.session,
        &question.person.directory,
        &question.person.id,
        &question.person.display_name,
        &device.udid,
        &question.remote_address,
    ];
    of_person + of_device + others.map(String::len).iter().sum::<usize>()
}
