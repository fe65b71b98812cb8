//! Framing: requests out of a datagram, replies into one, acknowledgements.

use super::Errno;
use super::policy::Kind;
use crate::wire::attributes::ext_ack;

const HEADER: usize = 16;
/// Netlink header plus generic netlink header.
pub(super) const ATTRIBUTES: usize = 20;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(super) const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_MULTI: u16 = 0x2;
pub(super) const NLM_F_ACK: u16 = 0x4;
/// Both bits: one alone means something else.
pub(super) const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLA_F_NESTED: u16 = 0x8000;
/// `NLMSGERR_ATTR_POLICY`.
const POLICY: u16 = 4;

/// One request: exactly the bytes its length field counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
}

impl Request<'_> {
    /// Command and the reserved field of the generic netlink header, if the message has one.
    pub(super) fn command(&self) -> Option<(u8, u16)> {
        let [command, _version, low, high] = *self.bytes.get(HEADER..)?.first_chunk::<4>()?;
        Some((command, u16::from_ne_bytes([low, high])))
    }

    /// The bytes behind the headers.
    pub(super) fn attributes(&self) -> &[u8] {
        self.bytes.get(ATTRIBUTES..).unwrap_or_default()
    }

    pub(super) const fn is_dump(&self) -> bool {
        self.flags & NLM_F_DUMP == NLM_F_DUMP
    }
}

/// Walks the requests of a datagram; a length that cannot be ends the walk without a word, as in
/// the kernel.
#[derive(Debug)]
pub(super) struct Requests<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Requests<'a> {
    type Item = Request<'a>;

    fn next(&mut self) -> Option<Request<'a>> {
        let [l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, ..] =
            *self.0.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        if length < HEADER {
            return None;
        }
        let bytes = self.0.get(..length)?;
        let next = length.next_multiple_of(4);
        self.0 = self.0.get(next..).unwrap_or_default();
        Some(Request {
            bytes,
            kind: u16::from_ne_bytes([t0, t1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
        })
    }
}

/// What the kernel says about an error beyond its number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExtendedAck {
    /// Text; the only part that success and the end of a dump carry too.
    pub(super) message: Option<&'static str>,
    /// Offset of the attribute at fault within the request.
    pub(super) offset: Option<usize>,
    /// What the attribute should have been.
    pub(super) kind: Option<&'static Kind>,
}

/// Appends one message to a datagram.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    datagram: &'a mut Vec<u8>,
    start: usize,
    padding: bool,
}

impl<'a> Writer<'a> {
    /// Starts a message of a family, with its generic netlink header.
    pub(super) fn family(
        datagram: &'a mut Vec<u8>,
        (kind, flags, sequence, port): (u16, u16, u32, u32),
        (command, version): (u8, u8),
        padding: bool,
    ) -> Self {
        let mut writer = Self::plain(datagram, (kind, flags, sequence, port), padding);
        writer.append(&[command, version, 0, 0]);
        writer
    }

    fn plain(
        datagram: &'a mut Vec<u8>,
        (kind, flags, sequence, port): (u16, u16, u32, u32),
        padding: bool,
    ) -> Self {
        let start = datagram.len();
        datagram.extend_from_slice(&[0; 4]);
        datagram.extend_from_slice(&kind.to_ne_bytes());
        datagram.extend_from_slice(&flags.to_ne_bytes());
        datagram.extend_from_slice(&sequence.to_ne_bytes());
        datagram.extend_from_slice(&port.to_ne_bytes());
        Self {
            datagram,
            start,
            padding,
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.datagram.extend_from_slice(bytes);
        let length = self.datagram.len().next_multiple_of(4);
        self.datagram.resize(length, 0);
    }

    pub(super) fn put(&mut self, number: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len().saturating_add(4)).unwrap_or(u16::MAX);
        self.datagram.extend_from_slice(&length.to_ne_bytes());
        self.datagram.extend_from_slice(&number.to_ne_bytes());
        self.append(payload);
    }

    pub(super) fn put_u8(&mut self, number: u16, value: u8) {
        self.put(number, &[value]);
    }

    pub(super) fn put_u16(&mut self, number: u16, value: u16) {
        self.put(number, &value.to_ne_bytes());
    }

    pub(super) fn put_be16(&mut self, number: u16, value: u16) {
        self.put(number, &value.to_be_bytes());
    }

    pub(super) fn put_u32(&mut self, number: u16, value: u32) {
        self.put(number, &value.to_ne_bytes());
    }

    /// A 64-bit value, behind an empty attribute `pad` where it would not be aligned to 8 bytes.
    pub(super) fn put_u64(&mut self, number: u16, value: u64, pad: u16) {
        if self.padding && self.datagram.len() % 8 == 0 {
            self.put(pad, &[]);
        }
        self.put(number, &value.to_ne_bytes());
    }

    pub(super) fn put_text(&mut self, number: u16, text: impl AsRef<[u8]>) {
        let mut payload = text.as_ref().to_vec();
        payload.push(0);
        self.put(number, &payload);
    }

    /// A nest, without the bit that would say so: this family never sets it.
    pub(super) fn nest(&mut self, number: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.datagram.len();
        self.put(number, &[]);
        fill(self);
        let length = self.datagram.len().saturating_sub(start);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self.datagram.get_mut(start..start.saturating_add(2)) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Fills in the length.
    pub(super) fn finish(self) {
        let length = self.datagram.len().saturating_sub(self.start);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let end = self.start.saturating_add(4);
        if let Some(field) = self.datagram.get_mut(self.start..end) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    fn describe(&mut self, kind: &Kind) {
        // Seen on 6.1.176; the numbers are those of `enum netlink_policy_type_attr` and
        // `enum netlink_attribute_type`.
        const TYPE: u16 = 1;
        const MIN_VALUE: u16 = 4;
        const MAX_VALUE: u16 = 5;
        const MAX_LENGTH: u16 = 7;
        const PAD: u16 = 11;
        let number: u32 = match kind {
            // Not described at all.
            Kind::AtLeast(_) => return,
            Kind::U8 => 2,
            Kind::U16 => 3,
            Kind::U32 => 4,
            Kind::Binary(_) => 10,
            Kind::Text(_) => 12,
            Kind::Nest => 13,
        };
        self.nest(POLICY | NLA_F_NESTED, |writer| {
            match kind {
                Kind::U8 | Kind::U16 | Kind::U32 => {
                    let max = match kind {
                        Kind::U8 => u8::MAX.into(),
                        Kind::U16 => u16::MAX.into(),
                        _ => u32::MAX.into(),
                    };
                    writer.put_u64(MIN_VALUE, 0, PAD);
                    writer.put_u64(MAX_VALUE, max, PAD);
                }
                Kind::Text(max) | Kind::Binary(max) => {
                    writer.put_u32(MAX_LENGTH, u32::try_from(*max).unwrap_or(u32::MAX));
                }
                Kind::AtLeast(_) | Kind::Nest => {}
            }
            writer.put_u32(TYPE, number);
        });
    }
}

/// How a socket wants its acknowledgements, and what the kernel can put into them.
#[derive(Clone, Copy, Debug)]
pub(super) struct AckStyle {
    pub(super) extended: bool,
    pub(super) capped: bool,
    pub(super) padding: bool,
    pub(super) describes_policies: bool,
}

/// The acknowledgement of a request: `errno` 0 for success.
pub(super) fn acknowledge(
    request: &Request<'_>,
    port: u32,
    errno: Errno,
    ack: &ExtendedAck,
    style: AckStyle,
) -> Vec<u8> {
    let failed = errno != 0;
    let whole = failed && !style.capped;
    let mut flags = if whole { 0 } else { NLM_F_CAPPED };
    let ack = if style.extended {
        *ack
    } else {
        ExtendedAck::default()
    };
    if ack.message.is_some() {
        flags |= NLM_F_ACK_TLVS;
    }
    let mut datagram = Vec::new();
    let header = (NLMSG_ERROR, flags, request.sequence, port);
    let mut writer = Writer::plain(&mut datagram, header, style.padding);
    writer.append(&errno.saturating_neg().to_ne_bytes());
    let end = if whole { request.bytes.len() } else { HEADER };
    writer.append(request.bytes.get(..end).unwrap_or_default());
    if let Some(message) = ack.message {
        writer.put_text(ext_ack::MSG, message);
    }
    if failed {
        if let Some(offset) = ack.offset {
            writer.put_u32(ext_ack::OFFS, u32::try_from(offset).unwrap_or(u32::MAX));
        }
        if let Some(kind) = ack.kind.filter(|_| style.describes_policies) {
            writer.describe(kind);
        }
    }
    writer.finish();
    datagram
}

/// The end of a dump: status 0 and, if there is one, the text of the extended acknowledgement.
pub(super) fn done(sequence: u32, port: u32, message: Option<&'static str>) -> Vec<u8> {
    let flags = match message {
        Some(_) => NLM_F_MULTI | NLM_F_ACK_TLVS,
        None => NLM_F_MULTI,
    };
    let mut datagram = Vec::new();
    let mut writer = Writer::plain(&mut datagram, (NLMSG_DONE, flags, sequence, port), false);
    writer.append(&[0; 4]);
    if let Some(message) = message {
        writer.put_text(ext_ack::MSG, message);
    }
    writer.finish();
    datagram
}

#[cfg(test)]
mod tests {
    use super::super::policy;
    use super::*;

    const STYLE: AckStyle = AckStyle {
        extended: true,
        capped: false,
        padding: true,
        describes_policies: true,
    };

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Answers captured on 6.1.176 (SET_CONFIG with a short timeout, without and with
    /// NETLINK_CAP_ACK).
    #[cfg(target_endian = "little")]
    #[test]
    fn acknowledgements_equal_the_kernels() {
        let request = hex(
            "240000001c000500fb000000000000000c0100000800060001000000050005006100000\
                           0",
        );
        let request = Requests(&request).next().unwrap();
        let ack = ExtendedAck {
            message: Some(policy::FAILED),
            offset: Some(28),
            kind: Some(&Kind::U32),
        };
        let answer = hex(
            "9000000002000002fb000000cad640c2deffffff240000001c000500fb000000000000000c0100000800\
             060001000000050005006100000027000100417474726962757465206661696c656420706f6c69637920\
             76616c69646174696f6e0000080002001c000000280004800c000400000000000000000004000b000c00\
             0500ffffffff000000000800010004000000",
        );
        let port = u32::from_ne_bytes([0xca, 0xd6, 0x40, 0xc2]);
        assert_eq!(acknowledge(&request, port, 34, &ack, STYLE), answer);

        let capped = AckStyle {
            capped: true,
            ..STYLE
        };
        let request = hex("240000001c000500fc00000000000000");
        let mut whole = request.clone();
        whole.resize(36, 0);
        let request = Requests(&whole).next().unwrap();
        let answer = hex(
            "8000000002000003fc000000817235b8deffffff240000001c000500fc00000000000000270001004174\
             74726962757465206661696c656420706f6c6963792076616c69646174696f6e0000080002001c000000\
             2c00048004000b000c000400000000000000000004000b000c000500ffffffff00000000080001000400\
             0000",
        );
        let port = u32::from_ne_bytes([0x81, 0x72, 0x35, 0xb8]);
        assert_eq!(acknowledge(&request, port, 34, &ack, capped), answer);
    }

    #[test]
    fn success_carries_the_header_only() {
        let mut request = vec![0; 40];
        request[..4].copy_from_slice(&40_u32.to_ne_bytes());
        let request = Requests(&request).next().unwrap();
        let ack = acknowledge(&request, 9, 0, &ExtendedAck::default(), STYLE);
        assert_eq!(ack.len(), 36);
        assert_eq!(ack[6..8], NLM_F_CAPPED.to_ne_bytes());
        let failed = acknowledge(&request, 9, 22, &ExtendedAck::default(), STYLE);
        assert_eq!(failed.len(), 20 + 40);
        assert_eq!(failed[16..20], (-22_i32).to_ne_bytes());
    }

    #[test]
    fn impossible_lengths_end_the_walk() {
        let message = |length: u32, size: usize| {
            let mut bytes = vec![0; size];
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes
        };
        let two = [message(17, 20), message(16, 16)].concat();
        let lengths: Vec<_> = Requests(&two).map(|request| request.bytes.len()).collect();
        assert_eq!(lengths, [17, 16]);
        assert_eq!(Requests(&message(15, 16)).count(), 0);
        assert_eq!(Requests(&message(17, 16)).count(), 0);
        assert_eq!(Requests(&[0; 15]).count(), 0);
        // A last message may lack its padding.
        assert_eq!(Requests(&message(17, 17)).count(), 1);
    }
}
