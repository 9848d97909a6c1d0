use lanyard_mdm::Sender;
use lanyard_mdm::connect::{
    Command, CommandError, ErrorItem, Outcome, Report, ReportError, Status, Template, read_answer,
};
use lanyard_mdm::document::Limits;
use plist::{Dictionary, Value};
use proptest::prelude::*;

fn report(entries: &str) -> Vec<u8> {
    format!("<plist version=\"1.0\"><dict>{entries}</dict></plist>").into_bytes()
}

#[test]
fn an_idle_device_says_so() {
    let body = report("<key>Status</key><string>Idle</string><key>UDID</key><string>D1</string>");
    let report = Report::parse(&body, Limits::default()).unwrap();
    assert_eq!(
        (report.sender.id().to_string().as_str(), &report.outcome),
        ("D1", &Outcome::Idle)
    );
}

/// A device repeats a report until it is taken: what cannot be understood must still settle its command.
#[test]
fn a_report_that_is_not_understood_is_attributed_where_possible() {
    let ids = "<key>CommandUUID</key><string>c-1</string><key>UDID</key><string>D1</string>";
    let user = format!("{ids}<key>UserID</key><string>U1</string>");
    let again = format!("{ids}<key>x</key><dict><key>UDID</key><string>D1</string></dict>");
    let other = format!("{ids}<key>x</key><dict><key>CommandUUID</key><string>c-2</string></dict>");
    let deep = format!(
        "{ids}<key>x</key>{}{}",
        "<array>".repeat(80),
        "</array>".repeat(80)
    );
    let cases = [
        // Well formed, but not the protocol.
        (
            format!("{ids}<key>Status</key><string>Maybe</string>"),
            Some("D1"),
            Some("c-1"),
        ),
        (ids.to_owned(), Some("D1"), Some("c-1")),
        (
            "<key>Status</key><string>Error</string><key>UDID</key><string>D1</string>".to_owned(),
            Some("D1"),
            None,
        ),
        (
            "<key>CommandUUID</key><string>c-1</string>".to_owned(),
            None,
            Some("c-1"),
        ),
        // Not well formed.
        (
            format!("{ids}<key>x</key><string>\u{1}</strin>"),
            Some("D1"),
            Some("c-1"),
        ),
        (format!("{user}<"), Some("D1:U1"), Some("c-1")),
        (format!("{again}<"), Some("D1"), Some("c-1")),
        (format!("{other}<"), Some("D1"), None),
        (deep, Some("D1"), Some("c-1")),
        (
            "<key>CommandUUID</key><string>a &amp; b</string><".to_owned(),
            None,
            None,
        ),
        ("<key>CommandUUID</key>".to_owned(), None, None),
    ];
    for (entries, enrollment, command) in cases {
        let unreadable = Report::parse(&report(&entries), Limits::default()).unwrap_err();
        let found = unreadable.enrollment.as_ref().map(ToString::to_string);
        assert_eq!(
            (found.as_deref(), unreadable.command_uuid.as_deref()),
            (enrollment, command),
            "{entries}"
        );
    }
    let mut broken = report(&format!("{ids}<key>x</key><string>?</string>"));
    let at = broken.iter().position(|&byte| byte == b'?').unwrap();
    broken[at] = 0xff;
    let unreadable = Report::parse(&broken, Limits::default()).unwrap_err();
    assert_eq!(unreadable.command_uuid.as_deref(), Some("c-1"));
    assert!(matches!(unreadable.source, ReportError::Document(_)));

    let binary = Report::parse(b"bplist00 c-1", Limits::default()).unwrap_err();
    assert_eq!((binary.enrollment, binary.command_uuid), (None, None));
}

#[test]
fn an_odd_error_chain_does_not_cost_the_status() {
    let ids = "<key>CommandUUID</key><string>c-1</string><key>UDID</key><string>D1</string><key>Status</key><string>Error</string>";
    for chain in [
        "<string>odd</string>",
        "<array><true/></array>",
        "<array><dict><key>ErrorCode</key><string>1</string></dict></array>",
    ] {
        let body = report(&format!("{ids}<key>ErrorChain</key>{chain}"));
        let report = Report::parse(&body, Limits::default()).unwrap();
        assert!(
            matches!(
                report.outcome,
                Outcome::Result {
                    status: Status::Error,
                    ..
                }
            ),
            "{chain}"
        );
    }
}

#[test]
fn an_answer_is_a_command_or_nothing() {
    let request = Dictionary::from_iter([("RequestType", "DeviceLock"), ("PIN", "123456")]);
    let command = Command::new("c-1", request).unwrap();
    let xml = command.to_xml().unwrap();
    assert_eq!(
        read_answer(&xml, Limits::default()),
        Ok(Some(command.clone()))
    );
    assert_eq!(read_answer(b"", Limits::default()), Ok(None));
    assert!(!format!("{command:?}").contains("123456"));
    assert_eq!(
        (command.uuid(), command.request_type()),
        ("c-1", "DeviceLock")
    );
}

#[test]
fn commands_that_no_device_would_take_are_refused() {
    let lock = || Dictionary::from_iter([("RequestType", "DeviceLock")]);
    let long = "x".repeat(128);
    let cases = [
        (
            Command::new("", lock()),
            "command: \"CommandUUID\" must be 1 to 127 printable ASCII characters",
        ),
        (
            Command::new(long, lock()),
            "command: \"CommandUUID\" must be 1 to 127 printable ASCII characters",
        ),
        (
            Command::new("c-1", Dictionary::new()),
            "command: \"RequestType\" is missing",
        ),
        (
            Command::new("c-1", Dictionary::from_iter([("RequestType", 1)])),
            "command: \"RequestType\" is of type integer, not string",
        ),
        (
            Command::new("c-1", Dictionary::from_iter([("RequestType", "")])),
            "command: \"RequestType\" must not be empty",
        ),
    ];
    for (outcome, message) in cases {
        match outcome {
            Err(CommandError::Field(error)) => assert_eq!(error.to_string(), message),
            other => panic!("{message}: {other:?}"),
        }
    }
    let mut request = lock();
    request.insert("Message".to_owned(), Value::String("a\0b".to_owned()));
    assert!(Command::new("c-1", request).unwrap().to_xml().is_err());
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let status = prop::sample::select(vec![
        Status::Acknowledged,
        Status::Error,
        Status::CommandFormatError,
        Status::NotNow,
    ]);
    let error = (
        any::<i64>(),
        "\\w{0,8}",
        "\\w{0,8}",
        proptest::option::of("\\w{0,8}"),
    );
    let error = error.prop_map(|(code, domain, localized, us_english)| ErrorItem {
        code,
        domain,
        localized,
        us_english,
    });
    let response = proptest::collection::btree_map("[a-z]{1,8}", "\\w{0,8}", 0..4);
    let errors = proptest::collection::vec(error, 0..3);
    prop_oneof![
        Just(Outcome::Idle),
        ("[!-~]{1,127}", status, errors, response).prop_map(
            |(command_uuid, status, errors, response)| {
                let response = response
                    .into_iter()
                    .map(|(key, text)| (key, Value::String(text)))
                    .collect();
                Outcome::Result {
                    command_uuid,
                    status,
                    errors,
                    response,
                }
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_the_device_reports_the_server_reads(outcome in outcomes()) {
        let sent = Report::new(Sender::device("D1").unwrap(), outcome).unwrap();
        let read = Report::parse(&sent.to_xml(), Limits::default()).unwrap();
        prop_assert_eq!(read.sender, sent.sender);
        prop_assert_eq!(read.outcome, sent.outcome);
    }

    #[test]
    fn mutated_reports_never_panic(outcome in outcomes(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = Report::new(Sender::device("D1").unwrap(), outcome).unwrap().to_xml();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = Report::parse(&body, Limits::default());
        let _ = read_answer(&body, Limits::default());
    }
}

#[test]
fn a_template_writes_what_each_command_would_be() {
    let mut request = Dictionary::new();
    for (key, value) in [
        ("RequestType", "DeviceLock"),
        ("Message", "CommandUUID-of-each & <all>"),
    ] {
        request.insert(key.to_owned(), Value::from(value));
    }
    let template = Template::new(request.clone()).unwrap();
    for uuid in ["c-1", "d9428888-122b-41e1-b85f-61c0f5a3c1a2"] {
        let command = Command::new(uuid, request.clone()).unwrap();
        let xml = template.to_xml(uuid).unwrap();
        assert_eq!(xml, command.to_xml().unwrap());
        assert_eq!(read_answer(&xml, Limits::default()).unwrap(), Some(command));
    }
    for wrong in ["", "a<b", "a b", &"x".repeat(128)] {
        let error = template.to_xml(wrong).unwrap_err();
        assert!(matches!(error, CommandError::Field(_)), "{wrong:?}");
    }
    let error = Template::new(Dictionary::new()).err();
    assert!(matches!(error, Some(CommandError::Field(_))));
}
