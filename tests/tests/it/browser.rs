//! The enrollment page in a browser.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::{self, HeaderName};
use lanyard_device::http::{Answer, Call, Client};
use lanyard_tests::site::Site;

/// What the page says of whatever is not right about name, password or code.
pub(crate) const WRONG: &str = "User name or password is wrong.";
/// What it says of a form or ticket that is good no more.
pub(crate) const OVER: &str = "This page was open for too long. Please sign in again.";
/// What it says when a directory cannot tell.
pub(crate) const TRY_AGAIN: &str = "Signing in is not possible right now. Please try again later.";

/// A browser with the enrollment page open.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) link: String,
    pub(crate) page: Answer,
}

impl Browser {
    pub(crate) async fn open(site: &Site) -> Browser {
        let (client, link) = (site.client().unwrap(), site.url("/enroll"));
        let page = client.send(&Call::get(&link)).await.unwrap();
        assert_eq!(page.status, 200);
        Browser { client, link, page }
    }

    /// The cookie as a browser sends it back.
    pub(crate) fn cookie(&self) -> &str {
        cookie_of(&self.page)
    }

    /// The token in the form.
    pub(crate) fn token(&self) -> String {
        attribute(&self.page, "name=\"csrf\" value=\"")
    }

    /// The form as it stands, filled in.
    pub(crate) async fn sign_in(&self, user_name: &str, password: &str) -> Answer {
        let fields = [
            ("user_name", user_name),
            ("password", password),
            ("csrf", &self.token()),
        ];
        self.send(&fields, Some(self.cookie())).await
    }

    /// A form of one's own.
    pub(crate) async fn send(&self, fields: &[(&str, &str)], cookie: Option<&str>) -> Answer {
        let call = self.form(fields, cookie);
        self.client.send(&call).await.unwrap()
    }

    /// The same, not sent yet.
    pub(crate) fn form(&self, fields: &[(&str, &str)], cookie: Option<&str>) -> Call {
        self.form_to(&self.link, fields, cookie)
    }

    /// A form that goes to another page.
    pub(crate) fn form_to(
        &self,
        link: &str,
        fields: &[(&str, &str)],
        cookie: Option<&str>,
    ) -> Call {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let call = Call::post(link, "application/x-www-form-urlencoded", body.into_bytes());
        match cookie {
            Some(cookie) => call.header(header::COOKIE, cookie),
            None => call,
        }
    }

    /// Signs in with this `Authorization` header instead.
    pub(crate) async fn basic(&self, authorization: &str) -> Answer {
        let call = Call::get(&self.link).header(header::AUTHORIZATION, authorization);
        self.client.send(&call).await.unwrap()
    }
}

fn encoded(value: &str) -> String {
    value.bytes().map(|octet| format!("%{octet:02X}")).collect()
}

pub(crate) fn basic(user_name: &str, password: &str) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{user_name}:{password}"))
    )
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

pub(crate) fn header_of(answer: &Answer, name: HeaderName) -> &str {
    let value = answer.headers.get(&name);
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .to_str()
        .unwrap()
}

/// The cookie that comes with an answer, as a browser sends it back.
pub(crate) fn cookie_of(answer: &Answer) -> &str {
    let cookie = header_of(answer, header::SET_COOKIE);
    cookie.split(';').next().unwrap()
}

/// What stands in an attribute of the page, behind these characters and up to the next quotation mark.
pub(crate) fn attribute(page: &Answer, before: &str) -> String {
    let page = text(page);
    let (_, rest) = page
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} is not in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The answer is the page again, with this status and this sentence.
pub(crate) fn is_page(answer: &Answer, status: u16, sentence: &str) {
    let page = text(answer);
    assert_eq!(answer.status, status, "{page}");
    let said = format!("role=\"alert\">{sentence}");
    assert!(page.contains(&said), "not {sentence:?}: {page}");
    assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
}
