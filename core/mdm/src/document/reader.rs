//! XML to [`Value`], with a bounded depth.
//!
//! `plist` reads XML too, but its nesting is bounded by the stack alone, it drops CDATA sections and unknown entities without a
//! word, and one wrongly padded `<data>` costs the whole message. A scan in front of it would have to agree with it about
//! comments, CDATA and processing instructions for ever; one reader on the same XML tokenizer cannot disagree with itself.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use plist::{Date, Dictionary, Integer, Value};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};

use super::{DocumentError, Limits};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn read(bytes: &[u8], max_depth: usize) -> Result<Value, DocumentError> {
    let mut xml = Reader::from_reader(bytes);
    let config = xml.config_mut();
    config.check_end_names = true;
    config.expand_empty_elements = true;
    Parser {
        xml,
        max_depth,
        values: 0,
    }
    .document()
}

struct Parser<'a> {
    xml: Reader<&'a [u8]>,
    max_depth: usize,
    /// Values read so far.
    values: usize,
}

/// What comes next where elements are expected.
enum Next {
    Start(String),
    End,
    Eof,
}

impl<'a> Parser<'a> {
    fn malformed(&self, problem: &'static str) -> DocumentError {
        DocumentError::Malformed {
            problem,
            offset: self.xml.buffer_position(),
        }
    }

    /// `<plist>` around exactly one value, nothing after it.
    fn document(&mut self) -> Result<Value, DocumentError> {
        match self.next()? {
            Next::Start(name) if name == "plist" => {}
            Next::Start(_) => return Err(self.malformed("the outermost element is not <plist>")),
            Next::End | Next::Eof => return Err(self.malformed("there is no <plist> element")),
        }
        let value = match self.next()? {
            Next::Start(name) => self.value(&name, self.max_depth)?,
            Next::End | Next::Eof => return Err(self.malformed("<plist> is empty")),
        };
        match self.next()? {
            Next::End => {}
            Next::Start(_) => return Err(self.malformed("<plist> holds more than one value")),
            Next::Eof => return Err(self.malformed("<plist> is not closed")),
        }
        match self.next()? {
            Next::Eof => Ok(value),
            Next::Start(_) | Next::End => Err(self.malformed("something follows </plist>")),
        }
    }

    fn value(&mut self, name: &str, depth_left: usize) -> Result<Value, DocumentError> {
        self.values += 1;
        if self.values > Limits::MAX_VALUES {
            return Err(DocumentError::TooMany {
                limit: Limits::MAX_VALUES,
            });
        }
        match name {
            "dict" => self.dictionary(self.deeper(depth_left)?),
            "array" => self.array(self.deeper(depth_left)?),
            "string" => Ok(Value::String(self.text()?)),
            "data" => self.data(),
            "integer" => self.integer(),
            "real" => self.real(),
            "date" => self.date(),
            "true" | "false" => {
                if !self.text()?.trim().is_empty() {
                    return Err(self.malformed("a boolean has content"));
                }
                Ok(Value::Boolean(name == "true"))
            }
            _ => Err(self.malformed("an element that property lists do not have")),
        }
    }

    fn deeper(&self, depth_left: usize) -> Result<usize, DocumentError> {
        depth_left.checked_sub(1).ok_or(DocumentError::TooDeep {
            limit: self.max_depth,
        })
    }

    fn dictionary(&mut self, depth_left: usize) -> Result<Value, DocumentError> {
        let mut entries = Dictionary::new();
        loop {
            match self.next()? {
                Next::Start(name) if name == "key" => {}
                Next::Start(_) => return Err(self.malformed("a <dict> has a value without <key>")),
                Next::End => return Ok(Value::Dictionary(entries)),
                Next::Eof => return Err(self.malformed("a <dict> is not closed")),
            }
            let key = self.text()?;
            let value = match self.next()? {
                Next::Start(name) => self.value(&name, depth_left)?,
                Next::End | Next::Eof => return Err(self.malformed("a <key> has no value")),
            };
            if entries.insert(key, value).is_some() {
                return Err(self.malformed("a <dict> has the same <key> twice"));
            }
        }
    }

    fn array(&mut self, depth_left: usize) -> Result<Value, DocumentError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Next::Start(name) => items.push(self.value(&name, depth_left)?),
                Next::End => return Ok(Value::Array(items)),
                Next::Eof => return Err(self.malformed("an <array> is not closed")),
            }
        }
    }

    fn data(&mut self) -> Result<Value, DocumentError> {
        let mut text = self.text()?;
        text.retain(|c| !c.is_ascii_whitespace());
        // Devices and proxies have been seen to pad too little and too much; the padding carries no information.
        BASE64
            .decode(text.trim_end_matches('='))
            .map(Value::Data)
            .map_err(|_| self.malformed("a <data> is not base64"))
    }

    fn integer(&mut self) -> Result<Value, DocumentError> {
        let text = self.text()?;
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let magnitude = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        let problem = || self.malformed("an <integer> is not one of 64 bits");
        let magnitude = magnitude.map_err(|_| problem())?;
        let integer: Integer = if negative {
            0_i64
                .checked_sub_unsigned(magnitude)
                .ok_or_else(problem)?
                .into()
        } else {
            magnitude.into()
        };
        Ok(Value::Integer(integer))
    }

    /// The one form that property lists have. `plist` takes any RFC 3339 time, and panics at those whose offset leads beyond
    /// the year 9999.
    fn date(&mut self) -> Result<Value, DocumentError> {
        let text = self.text()?;
        let text = text.trim();
        let in_utc = text.len() == "2026-01-31T12:00:00Z".len() && text.ends_with('Z');
        let date = in_utc.then(|| Date::from_xml_format(text).ok()).flatten();
        date.map(Value::Date)
            .ok_or_else(|| self.malformed("a <date> is not of the form 2026-01-31T12:00:00Z"))
    }

    fn real(&mut self) -> Result<Value, DocumentError> {
        let text = self.text()?;
        text.trim()
            .parse()
            .map(Value::Real)
            .map_err(|_| self.malformed("a <real> is not a number"))
    }

    /// Skips what may stand between elements.
    fn next(&mut self) -> Result<Next, DocumentError> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Next::Start(start.name().as_ref().to_owned())),
                Event::End(_) => return Ok(Next::End),
                Event::Eof => return Ok(Next::Eof),
                Event::Text(text) if is_blank(&text) => {}
                Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) => {
                    return Err(self.malformed("text where an element was expected"));
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
                Event::Empty(_) => {}
            }
        }
    }

    /// The text up to the end of the element that was just opened.
    fn text(&mut self) -> Result<String, DocumentError> {
        let mut content = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => content.push_str(&text.into_inner()),
                Event::CData(text) => content.push_str(&text.into_inner()),
                Event::GeneralRef(reference) => content.push_str(&self.entity(&reference)?),
                Event::End(_) => return Ok(content),
                Event::Eof => return Err(self.malformed("an element is not closed")),
                Event::Start(_) | Event::Empty(_) => {
                    return Err(self.malformed("an element where only text may stand"));
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
            }
        }
    }

    fn entity(&self, reference: &BytesRef<'_>) -> Result<String, DocumentError> {
        if reference.is_char_ref() {
            // Application names have carried &#0;, which must not cost the whole message.
            let character = reference.resolve_char_ref().ok().flatten();
            return Ok(character.unwrap_or(char::REPLACEMENT_CHARACTER).to_string());
        }
        resolve_xml_entity(reference.as_ref())
            .map(str::to_owned)
            .ok_or_else(|| self.malformed("an entity that property lists do not have"))
    }

    fn event(&mut self) -> Result<Event<'a>, DocumentError> {
        self.xml
            .read_event()
            .map_err(|_| self.malformed("the XML is not well formed"))
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\u{FEFF}')
}
