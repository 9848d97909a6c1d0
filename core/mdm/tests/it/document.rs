use lanyard_mdm::document::{
    DocumentError, Limits, WriteError, read, read_array, write, write_array,
};
use plist::{Dictionary, Integer, Uid, Value};
use proptest::prelude::*;

fn plist(body: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">{body}</plist>")
        .into_bytes()
}

/// The value of the key `k` in a dictionary with this markup as its value.
fn value(markup: &str) -> Result<Value, DocumentError> {
    let document = plist(&format!("<dict><key>k</key>{markup}</dict>"));
    read(&document, Limits::default()).map(|entries| entries.get("k").unwrap().clone())
}

#[test]
fn values_are_read_as_devices_mean_them() {
    let cases: &[(&str, Value)] = &[
        (
            "<string>a&amp;b &lt;&#65;&#x42;&gt;</string>",
            "a&b <AB>".into(),
        ),
        ("<string><![CDATA[<b>&amp;]]></string>", "<b>&amp;".into()),
        ("<string>a<!-- not text -->b</string>", "ab".into()),
        ("<string/>", "".into()),
        ("<string>a&#0;b</string>", "a\u{FFFD}b".into()),
        ("<string>a\0b\u{1}</string>", "a\0b\u{1}".into()),
        ("<true/>", true.into()),
        ("<false></false>", false.into()),
        ("<integer> 42 </integer>", 42.into()),
        ("<integer>-9223372036854775808</integer>", i64::MIN.into()),
        ("<integer>18446744073709551615</integer>", u64::MAX.into()),
        ("<integer>0xff</integer>", 255.into()),
        ("<real>1.5e3</real>", Value::Real(1500.0)),
        (
            "<data>\n\tYXBw\n\tbGU=\n</data>",
            Value::Data(b"apple".to_vec()),
        ),
        ("<data>YXBwbGU</data>", Value::Data(b"apple".to_vec())),
        ("<data>AAAA=</data>", Value::Data(vec![0, 0, 0])),
        ("<data/>", Value::Data(Vec::new())),
        ("<array/>", Value::Array(Vec::new())),
        (
            "<?pi <dict>?><array><!-- <array> --></array>",
            Value::Array(Vec::new()),
        ),
    ];
    for (markup, expected) in cases {
        assert_eq!(value(markup).as_ref(), Ok(expected), "{markup}");
    }
}

#[test]
fn what_is_no_property_list_is_refused() {
    let malformed = [
        "<string>a</strong>",
        "<string><true/></string>",
        "<string>&unknown;</string>",
        "<date>9999-12-31T23:59:59-01:00</date>",
        "<date>yesterday</date>",
        "<integer>9223372036854775808000</integer>",
        "<integer>-9223372036854775809</integer>",
        "<integer></integer>",
        "<real>x</real>",
        "<data>*</data>",
        "<true>x</true>",
        "<widget/>",
        "text",
        "<true/><true/>",
        "<true/><key>k</key><true/>",
        "",
    ];
    for markup in malformed {
        let outcome = value(markup);
        assert!(
            matches!(outcome, Err(DocumentError::Malformed { .. })),
            "{markup}: {outcome:?}"
        );
    }
    let malformed: [&[u8]; 8] = [
        b"",
        b"not a property list",
        b"<dict/>",
        b"<plist/>",
        b"<plist><dict/>",
        b"<plist><dict/><dict/></plist>",
        b"<plist><dict/></plist><plist><dict/></plist>",
        b"<plist><dict><key>\xff</key><true/></dict></plist>",
    ];
    for document in malformed {
        let outcome = read(document, Limits::default());
        let document = String::from_utf8_lossy(document);
        assert!(
            matches!(outcome, Err(DocumentError::Malformed { .. })),
            "{document}: {outcome:?}"
        );
    }
}

#[test]
fn binary_property_lists_have_an_error_of_their_own() {
    assert_eq!(
        read(b"bplist00\xd1\x01\x02", Limits::default()),
        Err(DocumentError::Binary)
    );
    // Whatever else is wrong with it, so that all of them are counted.
    assert_eq!(
        read(b"bplist00", Limits::bytes(4)),
        Err(DocumentError::Binary)
    );
}

#[test]
fn size_and_root_are_checked() {
    let document = plist("<dict/>");
    let limit = document.len();
    assert_eq!(read(&document, Limits::bytes(limit)), Ok(Dictionary::new()));
    let found = limit;
    let limit = limit - 1;
    assert_eq!(
        read(&document, Limits::bytes(limit)),
        Err(DocumentError::TooLarge { limit, found })
    );
    assert!(matches!(
        read(&plist("<array/>"), Limits::default()),
        Err(DocumentError::Root { .. })
    ));
    assert!(matches!(
        read_array(&document, Limits::default()),
        Err(DocumentError::Root { .. })
    ));
    assert_eq!(
        read_array(&plist("<array><true/></array>"), Limits::default()),
        Ok(vec![true.into()])
    );
}

#[test]
fn nesting_is_bounded_whatever_it_is_made_of() {
    let nested = |depth: usize| {
        let inner = depth - 1;
        plist(&format!(
            "<dict><key>k</key>{}{}</dict>",
            "<array>".repeat(inner),
            "</array>".repeat(inner)
        ))
    };
    assert!(read(&nested(64), Limits::default()).is_ok());
    let too_deep = Err(DocumentError::TooDeep { limit: 64 });
    assert_eq!(read(&nested(65), Limits::default()), too_deep);

    let openings = [
        "<array>",
        "<dict><key>k</key>",
        "<array ><!-- </array> -->",
        "<array\n a='>'><![CDATA[",
        "<array><?x </array>?>",
    ];
    for opening in openings {
        let document = plist(&format!("<dict><key>k</key>{}", opening.repeat(40_000)));
        let outcome = read(&document, Limits::default());
        assert!(outcome.is_err(), "{opening}");
    }
    assert_eq!(
        read(
            &plist(&"<dict><key>k</key>".repeat(40_000)),
            Limits::default()
        ),
        too_deep
    );
}

#[test]
fn entities_do_not_multiply() {
    let bomb = b"<!DOCTYPE plist [<!ENTITY a \"xxxxxxxxxx\"><!ENTITY b \"&a;&a;&a;\">]><plist><dict><key>k</key><string>&b;</string></dict></plist>";
    assert!(matches!(
        read(bomb, Limits::default()),
        Err(DocumentError::Malformed { .. })
    ));
}

#[test]
fn what_xml_cannot_carry_is_not_written() {
    let cases = [
        (
            Value::String("a\0b".to_owned()),
            "\"k\" holds U+0000, which XML cannot carry",
        ),
        (
            Value::Uid(Uid::new(1)),
            "\"k\" holds a UID, which an XML property list cannot carry",
        ),
        (
            Value::Real(f64::NAN),
            "\"k\" holds a real that is not a number, which an XML property list cannot carry",
        ),
    ];
    for (value, message) in cases {
        let entries = Dictionary::from_iter([("k", value)]);
        assert_eq!(write(&entries).unwrap_err().to_string(), message);
    }
    let far = std::time::UNIX_EPOCH + std::time::Duration::from_secs(400_000_000_000);
    let far = Value::Date(far.into());
    assert!(matches!(write_array(&[far]), Err(WriteError::Kind { .. })));
    let deep = (0..64).fold(Value::Array(Vec::new()), |inner, _| {
        Value::Array(vec![inner])
    });
    assert!(matches!(
        write_array(&[deep]),
        Err(WriteError::TooDeep { .. })
    ));
}

/// Text as XML carries it unchanged: carriage returns are newlines after reading.
fn text() -> impl Strategy<Value = String> {
    "[\\PC\\n\\t]{0,12}".prop_filter("XML cannot carry it", |text| {
        text.chars().all(|c| c != '\u{FFFE}' && c != '\u{FFFF}')
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::String),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(|integer| Value::Integer(Integer::from(integer))),
        any::<u64>().prop_map(|integer| Value::Integer(Integer::from(integer))),
        (-1.0e12_f64..1.0e12).prop_map(Value::Real),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(Value::Data),
        (0..250_000_000_000_u64).prop_map(|seconds| {
            Value::Date((std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).into())
        }),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|entries| Value::Dictionary(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(entries in proptest::collection::btree_map(text(), values(), 0..8)) {
        let entries: Dictionary = entries.into_iter().collect();
        let document = write(&entries).unwrap();
        prop_assert_eq!(read(&document, Limits::default()), Ok(entries));
    }

    #[test]
    fn arbitrary_bytes_never_panic(document in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&document, Limits::default());
    }

    #[test]
    fn arbitrary_markup_never_panics(pieces in proptest::collection::vec(prop_oneof![
        Just("<plist>"), Just("</plist>"), Just("<dict>"), Just("</dict>"), Just("<dict/>"), Just("<array>"), Just("</array>"),
        Just("<key>"), Just("</key>"), Just("<string>"), Just("</string>"), Just("<date>"), Just("</date>"), Just("<data>"),
        Just("</data>"), Just("<integer>"), Just("</integer>"), Just("0001-01-01T00:00:00Z"), Just("-1"), Just("&amp;"), Just("&#0;"),
        Just("<!--"), Just("-->"), Just("<![CDATA["), Just("]]>"), Just("<?"), Just("?>"), Just("<!DOCTYPE"), Just(">"), Just("\0"),
    ], 0..40)) {
        let document = format!("<plist><dict><key>k</key>{}", pieces.concat());
        let _ = read(document.as_bytes(), Limits::default());
    }
}

#[test]
fn values_are_bounded_however_small_they_are() {
    let many = |count: usize| {
        let values = "<true/>".repeat(count);
        format!("<plist><dict><key>a</key><array>{values}</array></dict></plist>").into_bytes()
    };
    // The dictionary and the array count, too.
    assert!(read(&many(Limits::MAX_VALUES - 2), Limits::default()).is_ok());
    let limit = Limits::MAX_VALUES;
    let refused = read(&many(limit - 1), Limits::default());
    assert_eq!(refused, Err(DocumentError::TooMany { limit }));
}
