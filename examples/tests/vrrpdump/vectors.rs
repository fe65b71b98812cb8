//! The vectors of the crate, through the program: frames in a capture, values and reasons out.

use core::fmt::Write;

use serde_json::{Value, json};

use crate::{captures, program};

/// One vector.
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) frame: Vec<u8>,
    value: Value,
}

/// All vectors, in order.
pub(crate) fn all() -> Vec<Vector> {
    let text = include_str!("../../../vrrp/tests/data/vrrp-vectors.json");
    let data: Value = serde_json::from_str(text).unwrap();
    let vectors = data["vectors"].as_array().unwrap().iter();
    vectors
        .map(|value| Vector {
            id: value["id"].as_str().unwrap().to_owned(),
            kind: value["kind"].as_str().unwrap().to_owned(),
            frame: bytes(value["frame"].as_str().unwrap()),
            value: value.clone(),
        })
        .collect()
}

/// The vector of this name.
pub(crate) fn named(id: &str) -> Vector {
    let found = all().into_iter().find(|vector| vector.id == id);
    found.unwrap_or_else(|| panic!("no vector {id}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

impl Vector {
    fn addresses(&self) -> Vec<String> {
        match &self.value["fields"]["addrs"] {
            Value::Array(list) => list
                .iter()
                .map(|a| a.as_str().unwrap().to_owned())
                .collect(),
            Value::String(text) if text == "as V06" => named("V06").addresses(),
            Value::String(text) => text.split(", ").flat_map(range).collect(),
            _ => Vec::new(),
        }
    }

    /// The receiver that the vector describes, as options.
    fn options(&self) -> String {
        let local = &self.value["local"];
        let text = |key: &str| local[key].as_str().unwrap_or("");
        let (vrid, family, version) = (&local["vrid"], &local["family"], &local["version"]);
        let interval = text("interval").replace(' ', "");
        let mut options = format!(
            "--vr vrid={vrid},family={family},version={version},interval={interval},priority=99"
        );
        if family == 4 {
            options += ",own=192.0.2.77";
        }
        let addresses = self.addresses();
        if !addresses.is_empty() {
            write!(options, ",addresses={}", addresses.join("+")).unwrap();
        }
        let mode = text("mode");
        if let Some((_, peer)) = mode.split_once("peer ") {
            match peer.split_once(", ") {
                Some((peer, "min_ttl 0")) => write!(options, ",peers={peer}@0-255"),
                None => write!(options, ",peers={peer}"),
                other => panic!("{other:?}"),
            }
            .unwrap();
        }
        if mode.contains("auth_hmac key 9 = 0x4f × 32") {
            let key = "4f".repeat(32);
            let source = self.value["fields"]["src"].as_str().unwrap();
            write!(options, ",peers={source}@0-255,hmac=9:{key}").unwrap();
        }
        match text("auth").split_once(", ") {
            None if local["auth"] == 0 => options += ",auth=none",
            None => {}
            Some(("1", password)) => {
                write!(options, ",auth=simple,password={password}").unwrap();
            }
            Some((_, rest)) => {
                let mut parts = rest.split(", ");
                let key = parts.next().unwrap().strip_prefix("key ").unwrap();
                let mut kind = "ah";
                for part in parts {
                    match part {
                        "icv=rfc2402" => kind = "ah-rfc2402",
                        "last seq < 7" => options += ",sequence=6",
                        "last seq 7" => options += ",sequence=7",
                        other => panic!("{other}"),
                    }
                }
                write!(options, ",auth={kind},password={key}").unwrap();
            }
        }
        match text("profile") {
            "" => {}
            "Strict9568" => options += " --profile strict-9568",
            other => panic!("{other}"),
        }
        options
    }

    /// Compares the fields of an accepted vector with what was printed.
    fn assert_fields(&self, object: &Value) {
        let (id, fields) = (&self.id, &self.value["fields"]);
        let is_v6 = self.value["local"]["family"] == 6;
        let group = if is_v6 { "ff02::12" } else { "224.0.0.18" };
        let interval = fields["adver_int"]
            .as_str()
            .or_else(|| fields["max_adver_int"].as_str());
        let centiseconds: u32 = match interval.unwrap().split_once(' ').unwrap() {
            (number, "s") => number.parse::<u32>().unwrap() * 100,
            (number, "cs") => number.parse().unwrap(),
            other => panic!("{other:?}"),
        };
        let or = |key: &str, default: Value| match &fields[key] {
            Value::Null => default,
            value => value.clone(),
        };
        for (key, expected) in [
            ("kind", json!("vrrp")),
            ("version", self.value["local"]["version"].clone()),
            ("vrid", fields["vrid"].clone()),
            ("priority", fields["priority"].clone()),
            ("interval_cs", centiseconds.into()),
            ("auth_type", fields["auth_type"].clone()),
            ("sequence", fields["ah_seq"].clone()),
            ("addresses", json!(self.addresses())),
            ("src", fields["src"].clone()),
            ("dst", or("dst", json!(group))),
            ("ttl", or("ttl", json!(if id == "V20" { 64 } else { 255 }))),
        ] {
            assert_eq!(object[key], expected, "{id}: {key}");
        }
        assert_eq!(
            object["addresses"].as_array().unwrap().len(),
            fields["count"],
            "{id}"
        );
    }
}

/// `10.9.0.1 … 10.9.0.250`, or one address.
fn range(text: &str) -> Vec<String> {
    use core::net::IpAddr;
    let mut ends = text.split(" … ").map(|end| end.parse::<IpAddr>().unwrap());
    let first = ends.next().unwrap();
    match (first, ends.next().unwrap_or(first)) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits()..=last.to_bits())
            .map(|bits| core::net::Ipv4Addr::from(bits).to_string())
            .collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits()..=last.to_bits())
            .map(|bits| core::net::Ipv6Addr::from(bits).to_string())
            .collect(),
        _ => panic!("{text}"),
    }
}

/// Each with the receiver it describes: exactly its values, or its reason.
#[test]
fn each_vector_gives_its_fields_and_its_reason() {
    let vectors: Vec<_> = all().into_iter().filter(|v| v.kind == "vrrp").collect();
    assert_eq!(vectors.len(), 48);
    for vector in vectors {
        let (id, value) = (&vector.id, &vector.value);
        let capture = captures::pcap(1, [&vector.frame[..]]);
        let objects = program::objects(&format!("{} -", vector.options()), &capture);
        let [object] = &objects[..] else {
            panic!("{id}: {objects:?}");
        };
        let expect = value["expect"].as_str().unwrap();
        assert_eq!(object["ok"], expect == "ok", "{id}: {object}");
        let reason = (expect != "ok").then_some(expect);
        assert_eq!(object["reason"], json!(reason), "{id}");
        assert_eq!(object["checksum_form"], value["checksum_form"], "{id}");
        assert_eq!(object["time"], 1_700_000_000.25, "{id}");
        assert_eq!(object["observations"], json!([]), "{id}");
        if expect == "ok" {
            vector.assert_fields(object);
        }
    }
}

/// All 55 frames in one capture and no configuration: what needs none is checked, and nothing else.
#[test]
fn all_frames_in_one_capture_are_judged_without_configuration() {
    let vectors = all();
    assert_eq!(vectors.len(), 55);
    let frames = vectors.iter().map(|vector| &vector.frame[..]);
    let capture = captures::pcap(1, frames);
    for profile in ["linux", "strict-9568"] {
        let arguments = format!("--announcements --stats --profile {profile} -");
        let mut objects = program::objects(&arguments, &capture);
        let stats = objects.pop().unwrap();
        assert_eq!(objects.len(), 55);
        let mut accepted = 0;
        for (second, (vector, object)) in (captures::START..).zip(vectors.iter().zip(&objects)) {
            let id = &vector.id;
            assert_eq!(object["kind"], vector.kind, "{id}");
            assert_eq!(
                object["time"].as_f64().unwrap().floor(),
                second as f64,
                "{id}"
            );
            if vector.kind != "vrrp" {
                continue;
            }
            let is_strict = profile != "linux";
            let expected = match id.as_str() {
                // From peers behind routers, which nobody configured.
                "V17" | "V20" => "ttl",
                // RFC 9568 sums up the message only.
                "V07" | "V09" | "V10" | "V11" | "V12" | "V18" | "V19" | "X14" | "X15" | "X25"
                | "X26"
                    if is_strict =>
                {
                    "checksum"
                }
                "X17" if is_strict => "checksum",
                "X22" if !is_strict => "ok",
                "X17" | "X18" | "X19" | "X21" | "X23" | "X24" | "X25" | "X26" => "ok",
                _ => vector.value["expect"].as_str().unwrap(),
            };
            let reason = object["reason"].as_str().unwrap_or("ok");
            assert_eq!(reason, expected, "{id} {profile}");
            assert_eq!(object["ok"], reason == "ok", "{id}");
            accepted += u64::from(reason == "ok");
            if reason == "ok" && vector.value["expect"] == "ok" {
                vector.assert_fields(object);
            }
            let seen = if id == "X22" && !is_strict {
                json!(["first-not-link-local"])
            } else {
                json!([])
            };
            assert_eq!(object["observations"], seen, "{id}");
            if expected == "checksum" && vector.value["expect"] != "checksum" {
                // Right in the form that the profile does not accept.
                assert_eq!(object["checksum_form"], "pseudo-header", "{id}");
            }
        }
        assert_eq!(stats["frames"], 55);
        assert_eq!(stats["announcements"], 7);
        assert_eq!(stats["accepted"], accepted);
        assert_eq!(stats["refused"], 48 - accepted);
    }
}
