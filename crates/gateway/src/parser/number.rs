/// A JSON number as it is kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Number {
    /// From -2^63 to 2^63 - 1, exact.
    Int(i64),
    /// From 2^63 to 2^64 - 1: kept as its text.
    BigInteger,
    /// Written with a fraction or an exponent.
    Float(f64),
}

/// Why a number is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NumberFault {
    /// Not a JSON number at all.
    Syntax,
    /// `NaN` or `Infinity`, which JSON does not have.
    NotFinite,
    /// An integer of more than 64 bits.
    IntegerTooLarge,
    /// A float beyond the range of 64-bit floats.
    FloatTooLarge,
}

/// Powers of ten that a 64-bit float holds exactly.
const EXACT_POWERS: [f64; 23] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];

/// Digits that never overflow a `u64`.
const SAFE_DIGITS: usize = 19;

/// Reads the number that begins at `start`; gives it with the position after it.
pub(crate) fn read_number(text: &str, start: usize) -> Result<(Number, usize), NumberFault> {
    let bytes = text.as_bytes();
    let negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let mut at = first;
    let mut digits = 0u64;
    take_digits(bytes, &mut at, &mut digits);
    let integer_digits = at - first;
    if integer_digits == 0 {
        let rest = bytes.get(first..).unwrap_or_default();
        let not_finite = rest.starts_with(b"NaN") || rest.starts_with(b"Inf");
        return Err(if not_finite { NumberFault::NotFinite } else { NumberFault::Syntax });
    }
    if bytes[first] == b'0' && integer_digits > 1 {
        return Err(NumberFault::Syntax);
    }
    if !matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
        let number = match (integer_digits < SAFE_DIGITS, negative) {
            (true, false) => Number::Int(digits as i64),
            (true, true) => Number::Int(-(digits as i64)),
            (false, _) => long_integer(text.get(start..at).unwrap_or_default())?,
        };
        return Ok((number, at));
    }
    let mut fraction_digits = 0;
    if bytes[at] == b'.' {
        at += 1;
        let fraction_start = at;
        take_digits(bytes, &mut at, &mut digits);
        fraction_digits = at - fraction_start;
        if fraction_digits == 0 {
            return Err(NumberFault::Syntax);
        }
    }
    let exponent = read_exponent(bytes, &mut at)?;
    let scale = exponent.saturating_sub(fraction_digits as i32);
    // Clinger's fast path: an exact integer times or over an exact power of ten is rounded once, hence correctly.
    if integer_digits + fraction_digits <= SAFE_DIGITS && digits <= (1 << 53) && scale.unsigned_abs() < 23 {
        let power = EXACT_POWERS[scale.unsigned_abs() as usize];
        let magnitude = if scale < 0 { digits as f64 / power } else { digits as f64 * power };
        return Ok((Number::Float(if negative { -magnitude } else { magnitude }), at));
    }
    match text.get(start..at).unwrap_or_default().parse::<f64>() {
        Ok(float) if float.is_finite() => Ok((Number::Float(float), at)),
        Ok(_) => Err(NumberFault::FloatTooLarge),
        Err(_) => Err(NumberFault::Syntax),
    }
}

#[inline(always)]
fn take_digits(bytes: &[u8], at: &mut usize, digits: &mut u64) {
    while let Some(digit) = bytes.get(*at).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        // Wraps beyond 19 digits, where the value is not used.
        *digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
        *at += 1;
    }
}

/// The exponent, 0 where there is none; saturated far outside the range of a float.
fn read_exponent(bytes: &[u8], at: &mut usize) -> Result<i32, NumberFault> {
    if !matches!(bytes.get(*at), Some(b'e' | b'E')) {
        return Ok(0);
    }
    *at += 1;
    let negative = bytes.get(*at) == Some(&b'-');
    if matches!(bytes.get(*at), Some(b'-' | b'+')) {
        *at += 1;
    }
    let start = *at;
    let mut exponent = 0i32;
    while let Some(digit) = bytes.get(*at).filter(|b| b.is_ascii_digit()) {
        exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
        *at += 1;
    }
    if *at == start {
        return Err(NumberFault::Syntax);
    }
    Ok(if negative { -exponent } else { exponent })
}

fn long_integer(text: &str) -> Result<Number, NumberFault> {
    if let Ok(integer) = text.parse::<i64>() {
        return Ok(Number::Int(integer));
    }
    text.parse::<u64>().map(|_| Number::BigInteger).map_err(|_| NumberFault::IntegerTooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Number, NumberFault> {
        let padded = format!("{text},");
        let (number, end) = read_number(&padded, 0)?;
        if end == text.len() { Ok(number) } else { Err(NumberFault::Syntax) }
    }

    #[test]
    fn edges() {
        assert_eq!(read("0"), Ok(Number::Int(0)));
        assert_eq!(read("-0"), Ok(Number::Int(0)));
        assert_eq!(read("9223372036854775807"), Ok(Number::Int(i64::MAX)));
        assert_eq!(read("-9223372036854775808"), Ok(Number::Int(i64::MIN)));
        assert_eq!(read("9223372036854775808"), Ok(Number::BigInteger));
        assert_eq!(read("18446744073709551615"), Ok(Number::BigInteger));
        assert_eq!(read("18446744073709551616"), Err(NumberFault::IntegerTooLarge));
        assert_eq!(read("-9223372036854775809"), Err(NumberFault::IntegerTooLarge));
        assert_eq!(read("9007199254740993"), Ok(Number::Int(9_007_199_254_740_993)));
        assert_eq!(read("1e400"), Err(NumberFault::FloatTooLarge));
        assert_eq!(read("-1e400"), Err(NumberFault::FloatTooLarge));
        assert_eq!(read("1e99999999999999"), Err(NumberFault::FloatTooLarge));
        assert_eq!(read("0e99999999999999"), Ok(Number::Float(0.0)));
        assert_eq!(read("1e-400"), Ok(Number::Float(0.0)));
        for text in ["NaN", "Infinity", "-Infinity", "-NaN"] {
            assert_eq!(read(text), Err(NumberFault::NotFinite), "{text}");
        }
        for text in ["", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "0x10", "1.e5", "--1", "1_000"] {
            assert_eq!(read(text), Err(NumberFault::Syntax), "{text}");
        }
    }

    #[test]
    fn negative_zero_keeps_its_sign() {
        let Ok(Number::Float(zero)) = read("-0.0") else { panic!("not a float") };
        assert!(zero == 0.0 && zero.is_sign_negative());
    }

    proptest! {
        #[test]
        fn floats_equal_the_standard_library(mantissa in "[1-9][0-9]{0,20}", fraction in "[0-9]{1,22}", exponent in -330i32..330) {
            for text in [format!("{mantissa}.{fraction}"), format!("-{mantissa}e{exponent}"), format!("{mantissa}.{fraction}E{exponent}")] {
                let expected: f64 = text.parse().unwrap();
                let expected = if expected.is_finite() { Ok(Number::Float(expected)) } else { Err(NumberFault::FloatTooLarge) };
                prop_assert_eq!(read(&text), expected, "{}", text);
            }
        }

        #[test]
        fn integers_equal_the_standard_library(n: i64, big: u64) {
            prop_assert_eq!(read(&n.to_string()), Ok(Number::Int(n)));
            let expected = i64::try_from(big).map_or(Number::BigInteger, Number::Int);
            prop_assert_eq!(read(&big.to_string()), Ok(expected));
        }
    }
}
