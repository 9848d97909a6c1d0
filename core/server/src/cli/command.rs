//! A command as it is typed, as the property list that the server takes.

use std::{error::Error, fs, path::Path};

use lanyard_commands::Query;
use lanyard_mdm::document;
use plist::{Dictionary, Value};

/// The property list under `Command`.
pub(super) fn request(
    request_type: &str,
    keys: &[String],
    plist: Option<&Path>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut request = match plist {
        Some(file) => {
            let content = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            document::read(&content, document::Limits::default())
                .map_err(|error| format!("{}: {error}", file.display()))?
        }
        None => keys
            .iter()
            .map(|key| pair(key))
            .collect::<Result<Dictionary, _>>()?,
    };
    if request_type == "DeviceInformation" && !request.contains_key("Queries") {
        let all = Query::ALL
            .iter()
            .map(|query| Value::from(query.name()))
            .collect();
        request.insert("Queries".to_owned(), Value::Array(all));
    }
    request.insert("RequestType".to_owned(), request_type.into());
    Ok(document::write(&request)?)
}

fn pair(text: &str) -> Result<(String, Value), Box<dyn Error>> {
    let wrong = || format!("{text:?} is not KEY=TEXT, KEY:=JSON or KEY@=FILE");
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let (key, value) = match key.as_bytes().last() {
        Some(b':') => (
            &key[..key.len() - 1],
            json(serde_json::from_str(value).map_err(|error| format!("{text:?}: {error}"))?)?,
        ),
        Some(b'@') => {
            let content = fs::read(value).map_err(|error| format!("{value}: {error}"))?;
            (&key[..key.len() - 1], Value::Data(content))
        }
        _ => (key, Value::from(value)),
    };
    if key.is_empty() {
        Err(wrong().into())
    } else {
        Ok((key.to_owned(), value))
    }
}

fn json(value: serde_json::Value) -> Result<Value, Box<dyn Error>> {
    Ok(match value {
        serde_json::Value::Bool(value) => Value::Boolean(value),
        serde_json::Value::String(value) => Value::String(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(real)) => Value::Real(real),
            (None, None) => return Err(format!("{number} is out of range").into()),
        },
        serde_json::Value::Array(values) => {
            Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(entries) => Value::Dictionary(
            entries
                .into_iter()
                .map(|(key, value)| Ok((key, json(value)?)))
                .collect::<Result<_, Box<dyn Error>>>()?,
        ),
        serde_json::Value::Null => return Err("a property list has no null".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_types_that_are_typed() {
        let keys = ["Message=a=b", "Flag:=true", "List:=[\"x\",2]"].map(str::to_owned);
        let request = request("DeviceLock", &keys, None).unwrap();
        let request = document::read(&request, document::Limits::default()).unwrap();
        assert_eq!(request["Message"].as_string(), Some("a=b"));
        assert_eq!(request["Flag"].as_boolean(), Some(true));
        assert_eq!(request["List"].as_array().map(Vec::len), Some(2));
        assert_eq!(request["RequestType"].as_string(), Some("DeviceLock"));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (key, expected) in [
            ("Message", "KEY=TEXT"),
            ("=x", "KEY=TEXT"),
            ("A:={", "A:={"),
            ("A:=null", "null"),
        ] {
            let error = request("X", &[key.to_owned()], None)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
