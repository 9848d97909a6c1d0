use lanyard_mdm::checkin::{
    Authenticate, CheckIn, CheckInError, DeclarativeManagement, GetToken, Message,
    SetBootstrapToken, TokenUpdate, UserAuthenticate,
};
use lanyard_mdm::document::{DocumentError, FieldProblem, Limits};
use lanyard_mdm::{
    BootstrapToken, DeviceToken, DigestResponse, EnrollmentId, PushMagic, Sender, UnlockToken,
};
use proptest::prelude::*;

fn parse(entries: &str) -> Result<CheckIn, CheckInError> {
    let body = format!("<plist version=\"1.0\"><dict>{entries}</dict></plist>");
    CheckIn::parse(body.as_bytes(), Limits::default())
}

fn string(key: &str, value: &str) -> String {
    format!("<key>{key}</key><string>{value}</string>")
}

#[test]
fn senders_have_canonical_ids() {
    let shared = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("UDID", "D1")], "D1"),
        (
            &[("UDID", "D1"), ("UserID", "U1"), ("UserShortName", "ann")],
            "D1:U1",
        ),
        (&[("EnrollmentID", "E1")], "E1"),
        (
            &[("EnrollmentID", "E1"), ("EnrollmentUserID", "U1")],
            "E1:U1",
        ),
        (
            &[
                ("UDID", "D1"),
                ("UserID", shared),
                ("UserShortName", "ann@example.org"),
            ],
            "D1:ann@example.org",
        ),
        // Both ids: the certificate is checked against the UDID then.
        (&[("UDID", "D1"), ("EnrollmentID", "E1")], "D1"),
        (&[("UDID", ""), ("EnrollmentID", "E1")], "E1"),
    ];
    for (keys, id) in cases {
        let keys: String = keys.iter().map(|(key, value)| string(key, value)).collect();
        let check_in = parse(&format!("{}{keys}", string("MessageType", "CheckOut"))).unwrap();
        assert_eq!(check_in.sender.id().to_string(), *id);
        assert_eq!(
            id.parse::<EnrollmentId>().as_ref(),
            Ok(check_in.sender.id())
        );
    }
}

#[test]
fn messages_that_break_the_protocol_say_where() {
    let token_update = format!(
        "{}{}",
        string("MessageType", "TokenUpdate"),
        string("UDID", "D1")
    );
    let long = "x".repeat(65);
    let cases = [
        (String::new(), "check-in: \"MessageType\" is missing"),
        (
            string("MessageType", "CheckOut"),
            "CheckOut: \"UDID\" is missing",
        ),
        (
            format!(
                "{}{}",
                string("MessageType", "CheckOut"),
                string("UDID", &long)
            ),
            "CheckOut: \"UDID\" must be 1 to 64 letters, digits, '-', '_' or '.'",
        ),
        (
            format!(
                "{}{}",
                string("MessageType", "CheckOut"),
                string("UDID", "D1:U1")
            ),
            "CheckOut: \"UDID\" must be 1 to 64 letters, digits, '-', '_' or '.'",
        ),
        (token_update.clone(), "TokenUpdate: \"Topic\" is missing"),
        (
            format!(
                "{token_update}{}{}",
                string("Topic", "t"),
                string("Token", "AAAA")
            ),
            "TokenUpdate: \"Token\" is of type string, not data",
        ),
        (
            format!(
                "{token_update}{}<key>Token</key><data>AAAA</data>",
                string("Topic", "t")
            ),
            "TokenUpdate: \"PushMagic\" is missing",
        ),
    ];
    for (entries, message) in cases {
        match parse(&entries) {
            Err(CheckInError::Field(error)) => assert_eq!(error.to_string(), message),
            other => panic!("{entries}: {other:?}"),
        }
    }
    let binary = CheckIn::parse(b"bplist00", Limits::default());
    assert!(matches!(
        binary,
        Err(CheckInError::Document(DocumentError::Binary))
    ));
}

#[test]
fn an_unknown_message_type_is_known_to_be_unknown() {
    let check_in = parse(&format!(
        "{}{}",
        string("MessageType", "Reticulate"),
        string("UDID", "D1")
    ))
    .unwrap();
    let expected = Message::Unknown {
        message_type: "Reticulate".to_owned(),
    };
    assert_eq!(check_in.message, expected);
}

#[test]
fn empty_tokens_count_as_absent() {
    let entries = format!(
        "{}{}{}<key>Token</key><data>AAAA</data>{}<key>UnlockToken</key><data></data>",
        string("MessageType", "TokenUpdate"),
        string("UDID", "D1"),
        string("Topic", "t"),
        string("PushMagic", "m"),
    );
    let Message::TokenUpdate(update) = parse(&entries).unwrap().message else {
        panic!("not a TokenUpdate");
    };
    assert_eq!(
        (update.unlock_token, update.awaiting_configuration),
        (None, None)
    );

    let entries = entries.replace("<data>AAAA</data>", "<data></data>");
    let Err(CheckInError::Field(error)) = parse(&entries) else {
        panic!("an empty push token was taken");
    };
    assert_eq!((error.key, error.problem), ("Token", FieldProblem::Missing));
}

#[test]
fn secrets_do_not_print() {
    let update = Message::TokenUpdate(TokenUpdate {
        topic: "t".to_owned(),
        token: DeviceToken::new(b"SECRET".to_vec()),
        push_magic: PushMagic::new("SECRET"),
        unlock_token: Some(UnlockToken::new(b"SECRET".to_vec())),
        awaiting_configuration: None,
    });
    let check_in = CheckIn::new(Sender::device("D1").unwrap(), update).unwrap();
    let printed = format!("{check_in:?}");
    assert!(printed.contains("PushMagic(6 bytes)"), "{printed}");
    // As text, and as the numbers or the base64 of its bytes.
    for secret in ["SECRET", "83, 69", "U0VDUkVU"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(*DeviceToken::new(vec![0x0a, 0xff]).to_hex(), "0aff");
}

fn text() -> impl Strategy<Value = String> {
    "[ -~]{0,8}[!-~]"
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..64)
}

fn messages() -> impl Strategy<Value = Message> {
    let authenticate = (
        text(),
        [maybe(), maybe(), maybe(), maybe(), maybe()],
        [maybe(), maybe(), maybe(), maybe()],
    );
    let authenticate = authenticate.prop_map(|(topic, [a, b, c, d, e], [f, g, h, i])| {
        Message::Authenticate(Authenticate {
            topic,
            device_name: a,
            model: b,
            model_name: c,
            os_version: d,
            build_version: e,
            product_name: f,
            serial_number: g,
            imei: h,
            meid: i,
        })
    });
    let awaiting = any::<Option<bool>>();
    let update = (
        text(),
        bytes(),
        text(),
        proptest::option::of(bytes()),
        any::<Option<bool>>(),
    );
    let update = update.prop_map(|(topic, token, magic, unlock, awaiting_configuration)| {
        Message::TokenUpdate(TokenUpdate {
            topic,
            token: DeviceToken::new(token),
            push_magic: PushMagic::new(magic),
            unlock_token: unlock.map(UnlockToken::new),
            awaiting_configuration,
        })
    });
    prop_oneof![
        authenticate,
        update,
        maybe().prop_map(|topic| Message::CheckOut { topic }),
        maybe().prop_map(|response| Message::UserAuthenticate(UserAuthenticate {
            digest_response: response.map(DigestResponse::new),
        })),
        (proptest::option::of(bytes()), any::<Option<bool>>()).prop_map(
            |(token, awaiting_configuration)| {
                Message::SetBootstrapToken(SetBootstrapToken {
                    token: token.map(BootstrapToken::new),
                    awaiting_configuration,
                })
            }
        ),
        awaiting.prop_map(|awaiting_configuration| Message::GetBootstrapToken {
            awaiting_configuration
        }),
        (text(), proptest::option::of(bytes())).prop_map(|(endpoint, data)| {
            Message::DeclarativeManagement(DeclarativeManagement { endpoint, data })
        }),
        text().prop_map(|service| {
            Message::GetToken(GetToken {
                service,
                parameters: plist::Dictionary::new(),
            })
        }),
        Just(Message::ReturnToService),
    ]
}

fn senders() -> impl Strategy<Value = Sender> {
    let user = proptest::option::of(("[A-Z0-9-]{1,36}", text(), text()));
    ("[A-Za-z0-9-]{1,64}", user).prop_map(|(udid, user)| {
        let device = Sender::device(udid).unwrap();
        match user {
            Some((id, short, long)) => device.user(&id, &short, &long).unwrap(),
            None => device,
        }
    })
}

proptest! {
    #[test]
    fn what_the_device_writes_the_server_reads(sender in senders(), message in messages()) {
        let sent = CheckIn::new(sender, message).unwrap();
        let body = sent.to_xml();
        let read = CheckIn::parse(&body, Limits::default()).unwrap();
        prop_assert_eq!(&read.sender, &sent.sender);
        prop_assert_eq!(&read.message, &sent.message);
        prop_assert_eq!(read.raw().expose(), body.as_slice());
    }

    #[test]
    fn mutated_messages_never_panic(message in messages(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let sender = Sender::device("D1").unwrap();
        let mut body = CheckIn::new(sender, message).unwrap().to_xml();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = CheckIn::parse(&body, Limits::default());
    }
}
