//! The greatest common divisor, by which wrr and mh reduce weights.

/// The greatest common divisor of two numbers; that of 0 and another is the other.
pub(crate) const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::gcd;

    #[test]
    fn divides_both_and_nothing_greater_does() {
        let cases = [
            (0, 0, 0),
            (0, 7, 7),
            (7, 0, 7),
            (12, 18, 6),
            (7, 5, 1),
            (u32::MAX, 3, 3),
        ];
        for (a, b, divisor) in cases {
            assert_eq!(gcd(a, b), divisor, "{a} {b}");
        }
    }
}
