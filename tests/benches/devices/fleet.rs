//! Enrolled devices, and the messages that they will send.

use std::error::Error;
use std::fs;

use lanyard_device::http::{Call, Client};
use lanyard_mdm::{connect, document, signature};
use lanyard_pki::{Certificate, PrivateKey};
use lanyard_tests::site::Site;
use plist::{Dictionary, Value};

/// A device that does nothing by itself.
pub(crate) struct Device {
    udid: String,
    url: String,
    key: PrivateKey,
    certificate: Certificate,
    pub(crate) client: Client,
    /// `Status` = `Idle`, signed.
    pub(crate) idle: Call,
}

/// A device for which commands wait, and its answers to them in their order, signed.
pub(crate) struct Busy {
    pub(crate) client: Client,
    pub(crate) idle: Call,
    pub(crate) answers: Vec<Call>,
}

pub(crate) fn enroll(site: &Site, count: usize) -> Result<Vec<Device>, Box<dyn Error>> {
    let password = site.add_user("correct horse battery")?;
    let count = count.to_string();
    let further = [
        "--devices",
        &count,
        "--concurrency",
        "8",
        "--exit-after",
        "enroll",
    ];
    let mut process = site.start_device(&password, &further)?;
    if !process.wait()?.success() {
        return Err(process.said().into());
    }
    let mut devices = Vec::new();
    for folder in fs::read_dir(site.devices())? {
        let folder = folder?;
        let udid = folder.file_name().to_string_lossy().into_owned();
        let management = site.device_state(&udid)?.management;
        let url = management.ok_or("a device is not managed")?.connect_url;
        let key = PrivateKey::from_pem(&fs::read(folder.path().join("identity.key"))?)?;
        let certificates = fs::read(folder.path().join("identity.pem"))?;
        let certificate = Certificate::many_from_pem(&certificates)?.remove(0);
        let idle = report(&udid, &url, (&key, &certificate), vec![("Status", "Idle")])?;
        devices.push(Device {
            udid,
            url,
            key,
            certificate,
            client: site.client()?,
            idle,
        });
    }
    Ok(devices)
}

/// Lets so many commands wait for each.
pub(crate) fn queue(
    site: &Site,
    devices: &[Device],
    count: usize,
) -> Result<Vec<Busy>, Box<dyn Error>> {
    let mut busy = Vec::new();
    for device in devices {
        let mut answers = Vec::new();
        for _ in 0..count {
            let uuid = site.post(&device.udid, "ProfileList")?;
            let keys = vec![("CommandUUID", uuid.as_str()), ("Status", "Acknowledged")];
            let identity = (&device.key, &device.certificate);
            answers.push(report(&device.udid, &device.url, identity, keys)?);
        }
        busy.push(Busy {
            client: device.client.clone(),
            idle: device.idle.clone(),
            answers,
        });
    }
    Ok(busy)
}

fn report(
    udid: &str,
    url: &str,
    (key, certificate): (&PrivateKey, &Certificate),
    keys: Vec<(&str, &str)>,
) -> Result<Call, Box<dyn Error>> {
    let keys = [("UDID", udid)].into_iter().chain(keys);
    let keys = keys.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let body = document::write(&keys.collect::<Dictionary>())?;
    let signed = signature::create(&body, key, certificate)?;
    let header = http::HeaderName::from_static(signature::HEADER);
    Ok(Call::put(url, connect::CONTENT_TYPE, body).header(header, &signed))
}
