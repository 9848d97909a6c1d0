//! A managed device whose every message is written by hand, under the identity that a simulated device enrolled with.

use std::fs;

use lanyard_device::{
    enroll::Management,
    factory::Identity,
    http::{Answer, Call, Client},
};
use lanyard_mdm::{
    checkin,
    connect::{self, Command, read_answer},
    document::{self, Limits},
    signature,
};
use lanyard_pki::{Certificate, PrivateKey};
use lanyard_tests::site::Site;
use plist::{Dictionary, Value};

/// Keys of a message, beside the UDID.
pub(crate) type Keys<'a> = Vec<(&'a str, Value)>;

/// A device that does nothing by itself.
#[derive(Clone)]
pub(crate) struct Puppet {
    pub(crate) udid: String,
    pub(crate) management: Management,
    key: PrivateKey,
    certificate: Certificate,
    client: Client,
}

impl Puppet {
    /// So many enrolled devices, of which nothing runs any more.
    pub(crate) fn enroll(site: &Site, count: usize) -> Vec<Puppet> {
        let password = site.add_user("correct horse battery").unwrap();
        let count = count.to_string();
        let arguments = ["--devices", &count, "--exit-after", "enroll"];
        let mut process = site.start_device(&password, &arguments).unwrap();
        assert!(process.wait().unwrap().success(), "{}", process.said());
        let mut udids: Vec<String> = fs::read_dir(site.devices())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        udids.sort();
        udids.iter().map(|udid| Puppet::of(site, udid)).collect()
    }

    /// One that came as far as Authenticate: it has not told its tokens.
    pub(crate) fn without_tokens(site: &Site, udid: &str) -> Puppet {
        let password = site.add_user("correct horse battery").unwrap();
        let arguments = ["--udid", udid, "--mischief", "no-token-update"];
        let mut process = site.start_device(&password, &arguments).unwrap();
        process.wait().unwrap();
        Puppet::of(site, udid)
    }

    /// The device of that directory.
    pub(crate) fn of(site: &Site, udid: &str) -> Puppet {
        let read = |name: &str| fs::read(site.devices().join(udid).join(name)).unwrap();
        Puppet {
            udid: udid.to_owned(),
            management: site.device_state(udid).unwrap().management.unwrap(),
            key: PrivateKey::from_pem(&read("identity.key")).unwrap(),
            certificate: Certificate::many_from_pem(&read("identity.pem")).unwrap()[0].clone(),
            client: site.client().unwrap(),
        }
    }

    /// What it shows in TLS to who asks for it.
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            key: self.key.clone(),
            certificate: self.certificate.clone(),
            chain: Vec::new(),
        }
    }

    /// `Mdm-Signature` over this body.
    pub(crate) fn signature(&self, body: &[u8]) -> String {
        signature::create(body, &self.key, &self.certificate).unwrap()
    }

    /// A request with that `Mdm-Signature`, or none; an error if the server breaks off without an answer.
    pub(crate) async fn put(
        &self,
        url: &str,
        content_type: &str,
        body: Vec<u8>,
        signature: Option<&str>,
    ) -> Result<Answer, String> {
        let mut call = Call::put(url, content_type, body);
        if let Some(value) = signature {
            call = call.header(http::HeaderName::from_static(signature::HEADER), value);
        }
        let answer = self.client.send(&call).await;
        answer.map_err(|error| format!("{error:?}"))
    }

    /// A report, as it is.
    pub(crate) async fn report(&self, body: &[u8]) -> Answer {
        let url = &self.management.connect_url;
        let signature = self.signature(body);
        let answer = self.put(url, connect::CONTENT_TYPE, body.to_vec(), Some(&signature));
        answer.await.unwrap()
    }

    /// A check-in message with these keys beside the UDID.
    pub(crate) async fn check_in(&self, message_type: &str, keys: Keys<'_>) -> Answer {
        let body = self.message([vec![("MessageType", message_type.into())], keys].concat());
        let url = &self.management.check_in_url;
        let signature = self.signature(&body);
        let answer = self.put(url, checkin::CONTENT_TYPE, body, Some(&signature));
        answer.await.unwrap()
    }

    /// Asks for a command; the answer must be one, or no bytes at all.
    pub(crate) async fn idle(&self) -> Option<Command> {
        let body = self.message(vec![("Status", "Idle".into())]);
        command(&self.report(&body).await)
    }

    /// Reports that a command ended so; the answer must be a command, or no bytes at all.
    pub(crate) async fn answer(&self, uuid: &str, status: &str) -> Option<Command> {
        command(&self.report(&self.result(uuid, status)).await)
    }

    /// The report that a command ended so.
    pub(crate) fn result(&self, uuid: &str, status: &str) -> Vec<u8> {
        self.message(vec![
            ("CommandUUID", uuid.into()),
            ("Status", status.into()),
        ])
    }

    /// A property list of these keys beside the UDID.
    pub(crate) fn message(&self, keys: Keys<'_>) -> Vec<u8> {
        let udid = [("UDID", Value::from(self.udid.as_str()))];
        document::write(&Dictionary::from_iter(udid.into_iter().chain(keys))).unwrap()
    }
}

/// What a 200 brought.
pub(crate) fn command(answer: &Answer) -> Option<Command> {
    assert_eq!(answer.status, 200, "{answer:?}");
    if !answer.body.is_empty() {
        assert_eq!(answer.content_type, connect::COMMAND_CONTENT_TYPE);
    }
    read_answer(&answer.body, Limits::default()).unwrap()
}
