//! The upgrade from HTTP: what a request offers, and whether a response keeps to it.

use sha1::{Digest, Sha1};

use super::deflate::Deflate;

/// The 101 whose fields are checked is the answer to these.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// The value of Sec-WebSocket-Key, from [`key`].
    pub key: &'a str,
    /// Sec-WebSocket-Protocol: subprotocols, best first.
    pub protocols: &'a [String],
    /// Whether Sec-WebSocket-Extensions has been sent with [`extensions`].
    pub deflate: bool,
}

/// What both sides have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol, if the server chose one.
    pub protocol: Option<String>,
    /// Messages may be compressed so.
    pub deflate: Option<Deflate>,
}

/// What Sec-WebSocket-Extensions offers.
///
/// A client that is `forgetful` says that it would compress each message on its own if the server wants that, which takes less
/// memory on both sides and compresses less. A server may ask for it in any case.
pub fn extensions(forgetful: bool) -> &'static str {
    if forgetful {
        "permessage-deflate; client_no_context_takeover; client_max_window_bits"
    } else {
        "permessage-deflate; client_max_window_bits"
    }
}

/// A Sec-WebSocket-Key of 16 random bytes.
pub fn key(random: [u8; 16]) -> String {
    base64(&random)
}

/// The Sec-WebSocket-Accept that answers a key.
pub fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&hash.finalize())
}

/// Checks the fields of a 101 response; an error says which one is wrong, and how.
pub fn check<'a>(
    offer: &Offer<'_>,
    fields: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<Agreed, String> {
    let named = |wanted: &'static str| {
        let fields = fields.clone();
        fields
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim_matches([' ', '\t']))
    };
    let only = |wanted: &'static str| {
        let mut values = named(wanted);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(format!("the response has more than one {wanted} field")),
            (value, _) => Ok(value),
        }
    };
    if !only("Upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err("the response's Upgrade field does not say websocket".into());
    }
    let mut options = named("Connection").flat_map(|value| value.split(','));
    if !options.any(|option| option.trim().eq_ignore_ascii_case("upgrade")) {
        return Err("the response's Connection field does not say Upgrade".into());
    }
    if only("Sec-WebSocket-Accept")? != Some(accept(offer.key).as_str()) {
        return Err("the response's Sec-WebSocket-Accept does not answer the request's key".into());
    }
    let protocol = match only("Sec-WebSocket-Protocol")? {
        Some(chosen) if !offer.protocols.iter().any(|offered| offered == chosen) => {
            return Err(format!("the server chose the subprotocol '{chosen}', which was not offered"));
        }
        chosen => chosen.map(str::to_owned),
    };
    let mut deflate = None;
    for extension in named("Sec-WebSocket-Extensions").flat_map(|value| split(value, ',')) {
        let extension = extension.trim();
        if extension.is_empty() {
            continue;
        }
        let mut parts = split(extension, ';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if !offer.deflate || !name.eq_ignore_ascii_case("permessage-deflate") {
            return Err(format!("the server chose the extension '{name}', which was not offered"));
        }
        if deflate.is_some() {
            return Err("the server chose permessage-deflate twice".into());
        }
        deflate = Some(parameters(parts)?);
    }
    Ok(Agreed { protocol, deflate })
}

/// The parameters of permessage-deflate.
fn parameters<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Deflate, String> {
    let mut agreed = Deflate::default();
    let mut seen: Vec<&str> = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (part, None),
        };
        let value =
            value.map(|value| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
        if seen.contains(&name) {
            return Err(format!("permessage-deflate has the parameter '{name}' twice"));
        }
        seen.push(name);
        let bits = value.filter(|value| !value.starts_with(['0', '+'])).and_then(|value| value.parse().ok());
        let bits = bits.filter(|bits| (8..=15).contains(bits));
        match (name, value, bits) {
            ("server_no_context_takeover", None, _) => agreed.server_no_context_takeover = true,
            ("client_no_context_takeover", None, _) => agreed.client_no_context_takeover = true,
            // The largest window reads them all.
            ("server_max_window_bits", Some(_), Some(_)) => {}
            ("client_max_window_bits", Some(_), Some(bits)) => agreed.client_max_window_bits = bits,
            _ => return Err(format!("permessage-deflate has the parameter '{part}', which has no meaning there")),
        }
    }
    Ok(agreed)
}

/// Splits a list at a separator that is not within quotes.
fn split(list: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |character| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let six = (number >> (18 - 6 * digit)) & 0x3f;
            let character = DIGITS.get(six as usize).map_or('=', |digit| char::from(*digit));
            text.push(if digit > group.len() { '=' } else { character });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn answer<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut fields = vec![
            ("upgrade", "WebSocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        fields.extend_from_slice(more);
        fields
    }

    fn checked(offer: &Offer<'_>, fields: &[(&str, &str)]) -> Result<Agreed, String> {
        check(offer, fields.iter().copied())
    }

    #[test]
    fn keys_and_accepts_are_those_of_the_rfc() {
        assert_eq!(key(*b"the sample nonce"), KEY);
        assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn an_answer_that_keeps_to_the_offer_is_agreed_on() {
        let protocols = ["chat".to_owned(), "superchat".to_owned()];
        let offer = Offer { key: KEY, protocols: &protocols, deflate: true };
        assert_eq!(checked(&offer, &answer(&[])), Ok(Agreed::default()));
        let all = answer(&[
            ("Sec-WebSocket-Protocol", " superchat "),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_no_context_takeover; client_max_window_bits=\"10\"; server_max_window_bits = 8",
            ),
        ]);
        let agreed = checked(&offer, &all).unwrap();
        assert_eq!(agreed.protocol.as_deref(), Some("superchat"));
        let expected =
            Deflate { server_no_context_takeover: true, client_no_context_takeover: false, client_max_window_bits: 10 };
        assert_eq!(agreed.deflate, Some(expected));
    }

    #[test]
    fn an_answer_that_does_not_is_refused() {
        let protocols = ["chat".to_owned()];
        let offer = Offer { key: KEY, protocols: &protocols, deflate: true };
        let bad: [&[(&str, &str)]; 13] = [
            &[("Sec-WebSocket-Protocol", "Chat")],
            &[("Sec-WebSocket-Protocol", "chat"), ("sec-websocket-protocol", "chat")],
            &[("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
            &[("Upgrade", "websocket")],
            &[("Sec-WebSocket-Extensions", "x-unknown")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=7")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=16")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=010")],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover=1")],
            &[(
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            )],
            &[("Sec-WebSocket-Extensions", "permessage-deflate; what=1")],
        ];
        for more in bad {
            assert!(checked(&offer, &answer(more)).is_err(), "{more:?}");
        }
        let without = Offer { deflate: false, ..offer };
        assert!(checked(&without, &answer(&[("Sec-WebSocket-Extensions", "permessage-deflate")])).is_err());
        for at in 0..3 {
            let mut fields = answer(&[]);
            fields.remove(at);
            assert!(checked(&offer, &fields).is_err(), "without {at}");
            let mut fields = answer(&[]);
            fields[at].1 = "other";
            assert!(checked(&offer, &fields).is_err(), "with another {at}");
        }
    }
}
