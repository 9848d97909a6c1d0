//! The enrollment page, as browsers and as people who should not be here use it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{self, HeaderName};
use lanyard_device::http::{Answer, Call};
use lanyard_mdm::{document::Limits, ota::ProfileService, profile::CONTENT_TYPE, signed};
use lanyard_tests::site::{Site, USER};

use crate::browser::{Browser, OVER, WRONG, basic, header_of, is_page, text};

const PASSWORD: &str = "correct horse battery";

fn site(settings: &[(&str, &str)]) -> Site {
    let mut site = Site::temporary(&[]).unwrap();
    for (name, value) in settings {
        site.set(name, *value);
    }
    site.start_apns().unwrap();
    site.start_server().unwrap();
    site.add_user(PASSWORD).unwrap();
    site
}

fn is_document(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.content_type, CONTENT_TYPE);
    assert_eq!(header_of(answer, header::CACHE_CONTROL), "no-store");
    let opened = signed::open(&answer.body).unwrap();
    let service = ProfileService::parse(&opened.content, Limits::default()).unwrap();
    assert!(service.challenge.is_some());
}

#[tokio::test]
async fn the_form_signs_in_and_each_session_is_the_persons() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    is_document(&browser.sign_in(USER, PASSWORD).await);
    is_document(&browser.sign_in(&format!(" {USER} "), PASSWORD).await);
    is_document(&browser.basic(&basic(USER, PASSWORD)).await);
    let store = site.store().await.unwrap();
    let sessions = store.sessions_of_person("local-users", USER, 10).await;
    assert_eq!(sessions.unwrap().len(), 3);
}

#[tokio::test]
async fn a_form_that_is_not_ours_does_nothing() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    let other = Browser::open(&site).await;
    let (token, cookie) = (browser.token(), browser.cookie());
    assert_ne!(token, other.token());
    let right = [("user_name", USER), ("password", PASSWORD)];
    for (csrf, cookie) in [
        (None, Some(cookie)),
        (None, None),
        (Some(token.as_str()), None),
        (Some(token.as_str()), Some(other.cookie())),
        (Some(&other.token()), Some(cookie)),
        (Some(&token[1..]), Some(cookie)),
        (Some(""), Some("__Host-enroll=")),
        (Some(token.as_str()), Some("__Host-enroll=; enroll=x")),
    ] {
        let fields = right.into_iter().chain(csrf.map(|csrf| ("csrf", csrf)));
        let fields: Vec<_> = fields.collect();
        is_page(&browser.send(&fields, cookie).await, 403, OVER);
    }
    let fields = [right[0], right[1], ("csrf", token.as_str())];
    let among_others = format!("theme=dark; {cookie}; x=y");
    is_document(&browser.send(&fields, Some(&among_others)).await);
}

#[tokio::test]
async fn who_may_not_sign_in_is_not_told_why() {
    let site = site(&[]);
    let file = site.password_file(PASSWORD).unwrap();
    let file = file.to_str().unwrap();
    site.lanyard(&["user", "add", "gone", "--password-file", file])
        .unwrap();
    site.lanyard(&["user", "disable", "gone"]).unwrap();
    let browser = Browser::open(&site).await;
    let mut pages = Vec::new();
    for (user_name, password) in [
        (USER, "wrong horse battery"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("gone", "wrong horse battery"),
        (USER, ""),
    ] {
        let answer = browser.sign_in(user_name, password).await;
        is_page(&answer, 403, WRONG);
        let (before, rest) = text(&answer)
            .split_once("name=\"csrf\" value=\"")
            .map(|(before, rest)| (before.to_owned(), rest.to_owned()))
            .unwrap();
        let after = rest.split_once('"').unwrap().1;
        let echoed = format!("value=\"{user_name}\"");
        assert!(after.contains(&echoed));
        pages.push(before + &after.replace(&echoed, ""));

        let answer = browser.basic(&basic(user_name, password)).await;
        assert_eq!(answer.status, 401);
        let challenge = header_of(&answer, header::WWW_AUTHENTICATE);
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        assert_eq!(text(&answer), "user name or password is wrong\n");
    }
    assert!(pages.iter().all(|page| *page == pages[0]));
    site.lanyard(&["user", "enable", "gone"]).unwrap();
    is_document(&browser.sign_in("gone", PASSWORD).await);
}

#[tokio::test]
async fn an_authorization_that_is_no_basic_one_is_asked_again() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    let without_colon = format!("Basic {}", STANDARD.encode(USER));
    let not_text = format!("Basic {}", STANDARD.encode([0xff, b':', 0xfe]));
    for authorization in [
        "Bearer x",
        "Basic",
        "Basic !",
        &without_colon,
        &not_text,
        "",
    ] {
        let answer = browser.basic(authorization).await;
        assert_eq!(answer.status, 401, "{authorization}");
        header_of(&answer, header::WWW_AUTHENTICATE);
    }
}

#[tokio::test]
async fn attempts_are_counted_by_name() {
    let site = site(&[("LANYARD_ENROLLMENT_SIGN_INS_PER_NAME", "2")]);
    let browser = Browser::open(&site).await;
    is_page(
        &browser.sign_in(USER, "wrong horse battery").await,
        403,
        WRONG,
    );
    is_page(
        &browser.sign_in(USER, "wrong horse battery").await,
        403,
        WRONG,
    );
    is_throttled(&browser.sign_in(USER, PASSWORD).await);
    let uppercase = USER.to_uppercase();
    let with_soft_hyphen = format!("{}\u{ad}{}", &USER[..1], &USER[1..]);
    let wide = USER.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0));
    let wide: String = wide.map(Option::unwrap).collect();
    for same in [uppercase, with_soft_hyphen, wide] {
        is_throttled(&browser.sign_in(&same, PASSWORD).await);
    }
    is_throttled(&browser.basic(&basic(USER, PASSWORD)).await);
    is_page(
        &browser.sign_in("somebody-else", PASSWORD).await,
        403,
        WRONG,
    );
}

#[tokio::test]
async fn attempts_are_counted_by_address() {
    let site = site(&[("LANYARD_ENROLLMENT_SIGN_INS_PER_ADDRESS", "2")]);
    let browser = Browser::open(&site).await;
    is_page(&browser.sign_in("first", PASSWORD).await, 403, WRONG);
    is_page(&browser.sign_in("second", PASSWORD).await, 403, WRONG);
    is_throttled(&browser.sign_in(USER, PASSWORD).await);
    // Looking is free, and so is a form that is not ours.
    let browser = Browser::open(&site).await;
    is_page(
        &browser
            .send(&[("user_name", USER), ("password", "x")], None)
            .await,
        403,
        OVER,
    );
}

fn is_throttled(answer: &Answer) {
    assert_eq!(answer.status, 429);
    assert_eq!(header_of(answer, header::RETRY_AFTER), "60");
    assert!(text(answer).contains("Too many attempts."));
    assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn what_is_typed_is_shown_as_text() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' autofocus onfocus='alert(1)",
        "&lt;script&gt;",
        "{{ form_token }}",
    ] {
        let answer = browser.sign_in(name, PASSWORD).await;
        is_page(&answer, 403, WRONG);
        let page = text(&answer);
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        let (_, value) = page.split_once("name=\"user_name\" value=\"").unwrap();
        let value = value.split('"').next().unwrap();
        assert_eq!(unescaped(value), name);
    }
}

/// Undoes numeric and named references, as a browser does for an attribute's value.
fn unescaped(value: &str) -> String {
    let named = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ];
    named
        .iter()
        .fold(value.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[tokio::test]
async fn the_page_keeps_other_sites_out_and_fits_a_phone() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    let page = &browser.page;
    let policy = header_of(page, header::CONTENT_SECURITY_POLICY);
    for directive in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert_eq!(header_of(page, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(header_of(page, header::REFERRER_POLICY), "no-referrer");
    assert_eq!(header_of(page, header::CACHE_CONTROL), "no-store");
    let cookie = header_of(page, header::SET_COOKIE);
    for attribute in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains(&browser.token()));

    let html = text(page);
    for needed in [
        "<html lang=\"en\">",
        "<meta name=\"viewport\" content=\"width=device-width",
        "<label for=\"user_name\">",
        "id=\"user_name\"",
        "<label for=\"password\">",
        "id=\"password\" name=\"password\" type=\"password\"",
        "autocomplete=\"current-password\"",
    ] {
        assert!(html.contains(needed), "{needed} is not in {html}");
    }
    let style = Call::get(site.url("/enroll/style.css"));
    let style = browser.client.send(&style).await.unwrap();
    assert_eq!(
        (style.status, style.content_type.as_str()),
        (200, "text/css")
    );
}

#[tokio::test]
async fn a_link_on_another_site_signs_nobody_in() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    let name = HeaderName::from_static("sec-fetch-site");
    for (from, signs_in) in [("cross-site", false), ("same-site", false), ("none", true)] {
        let call = Call::get(&browser.link)
            .header(header::AUTHORIZATION, &basic(USER, PASSWORD))
            .header(name.clone(), from);
        let answer = browser.client.send(&call).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.content_type.starts_with("text/html"),
            !signs_in,
            "{from}"
        );
    }
}

#[tokio::test]
async fn oversized_and_malformed_requests_are_refused_and_the_server_goes_on() {
    let site = site(&[]);
    let browser = Browser::open(&site).await;
    let long = |length: usize| "x".repeat(length);
    for (user_name, password) in [(2_000, 10), (10, 2_000), (16_000, 10)] {
        let answer = browser.sign_in(&long(user_name), &long(password)).await;
        assert_eq!(answer.status, 403);
    }
    let form = browser.form(&[("user_name", USER), ("password", &long(100_000))], None);
    let head = Call::get(&browser.link).header(header::AUTHORIZATION, &basic(USER, &long(100_000)));
    let many = (0..100).fold(Call::get(&browser.link), |call, n| {
        call.header(HeaderName::try_from(format!("x-{n}")).unwrap(), "x")
    });
    for (call, status) in [(form, 413), (head, 431), (many, 431)] {
        // The server closes before it has read all, so the answer may be lost on the way.
        if let Ok(answer) = browser.client.send(&call).await {
            assert_eq!(answer.status, status);
        }
    }
    for (content_type, body, expected) in [
        ("application/json", &b"{}"[..], 415),
        ("application/x-www-form-urlencoded", b"user_name=x", 422),
        (
            "application/x-www-form-urlencoded",
            b"user_name=%FF&password=%00&csrf=%",
            403,
        ),
        ("application/x-www-form-urlencoded", b"", 422),
    ] {
        let call = Call::post(&browser.link, content_type, body.to_vec());
        let answer = browser.client.send(&call).await.unwrap();
        assert_eq!(answer.status, expected, "{}", text(&answer));
    }
    is_document(&browser.sign_in(USER, PASSWORD).await);
    assert!(!site.server_log().contains("panicked"));
}
