//! A writer of BER that does as it is told: indefinite lengths, strings in pieces, fields that do not belong there.

/// One element with a tag of one octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) tag: u8,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Primitive(Vec<u8>),
    Constructed(Vec<Node>),
}

impl Node {
    pub(crate) fn primitive(tag: u8, contents: &[u8]) -> Self {
        Self {
            tag,
            value: Value::Primitive(contents.to_vec()),
        }
    }

    pub(crate) fn constructed(tag: u8, children: Vec<Self>) -> Self {
        Self {
            tag,
            value: Value::Constructed(children),
        }
    }

    /// Reads one element of DER.
    pub(crate) fn parse(der: &[u8]) -> Self {
        let (node, rest) = Self::first(der);
        assert!(rest.is_empty(), "octets follow the element");
        node
    }

    fn first(der: &[u8]) -> (Self, &[u8]) {
        let (tag, first) = (der[0], usize::from(der[1]));
        let octets = if first < 0x80 { 0 } else { first & 0x7f };
        let length = der[2..2 + octets]
            .iter()
            .fold(if octets == 0 { first } else { 0 }, |length, &octet| {
                length << 8 | usize::from(octet)
            });
        let (mut contents, rest) = der[2 + octets..].split_at(length);
        if tag & 0x20 == 0 {
            return (Self::primitive(tag, contents), rest);
        }
        let mut children = Vec::new();
        while !contents.is_empty() {
            let (child, after) = Self::first(contents);
            children.push(child);
            contents = after;
        }
        (Self::constructed(tag, children), rest)
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let contents = match &self.value {
            Value::Primitive(contents) => contents.clone(),
            Value::Constructed(children) => children.iter().flat_map(Self::der).collect(),
        };
        [header(self.tag, contents.len()), contents].concat()
    }

    /// The same in the worst BER that still means it: every constructed element of indefinite length, every OCTET
    /// STRING in nested pieces of `piece` octets.
    pub(crate) fn ber(&self, piece: usize) -> Vec<u8> {
        match &self.value {
            Value::Primitive(contents) if self.tag == 0x04 => {
                let inner: Vec<u8> = contents
                    .chunks(piece)
                    .flat_map(|piece| Self::primitive(0x04, piece).der())
                    .collect();
                [&[0x24, 0x80, 0x24, 0x80], inner.as_slice(), &[0; 4]].concat()
            }
            Value::Primitive(_) => self.der(),
            Value::Constructed(children) => {
                let inner: Vec<u8> = children.iter().flat_map(|child| child.ber(piece)).collect();
                [&[self.tag, 0x80], inner.as_slice(), &[0, 0]].concat()
            }
        }
    }

    /// The element at the end of a path of indices.
    pub(crate) fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter()
            .fold(self, |node, &index| &mut node.children()[index])
    }

    pub(crate) fn children(&mut self) -> &mut Vec<Self> {
        match &mut self.value {
            Value::Constructed(children) => children,
            Value::Primitive(_) => panic!("a primitive element has no children"),
        }
    }

    pub(crate) fn contents(&mut self) -> &mut Vec<u8> {
        match &mut self.value {
            Value::Primitive(contents) => contents,
            Value::Constructed(_) => panic!("a constructed element has no contents of its own"),
        }
    }
}

fn header(tag: u8, length: usize) -> Vec<u8> {
    let octets = length.to_be_bytes();
    match length {
        0..=0x7f => vec![tag, octets[7]],
        0x80..=0xff => vec![tag, 0x81, octets[7]],
        0x100..=0xffff => vec![tag, 0x82, octets[6], octets[7]],
        _ => vec![tag, 0x83, octets[5], octets[6], octets[7]],
    }
}
