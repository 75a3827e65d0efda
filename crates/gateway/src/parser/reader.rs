use std::borrow::Cow;

use event::{Reject, RejectCode};

use super::number::{Number, NumberFault, read_number};
use super::scan::{next_special, skip_whitespace};

/// A refusal on its way out; boxed, so that the good path carries one word.
pub(crate) type Fault = Box<Reject>;

#[cold]
pub(crate) fn fault(code: RejectCode, message: impl Into<Cow<'static, str>>) -> Fault {
    Box::new(Reject::new(code, message))
}

/// A piece of text that was read: in the body as it stands, or unescaped in the scratch.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    start: usize,
    end: usize,
    in_scratch: bool,
}

/// Memory that the reader keeps from event to event and from request to request.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Unescaped strings and compacted JSON of the event being read.
    text: String,
    /// One byte per open bracket while nested JSON is read, so that nesting costs heap, not stack.
    open: Vec<u8>,
}

impl Scratch {
    /// Bytes of memory held.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.text.capacity() + self.open.capacity()
    }
}

/// Reads JSON tokens from a body; positions are bytes of the body.
pub(crate) struct Reader<'a> {
    pub(crate) body: &'a str,
    pub(crate) at: usize,
    scratch: &'a mut Scratch,
}

/// What a nested value was.
pub(crate) struct Nested {
    pub(crate) text: Text,
    /// 1 for a list of plain values.
    pub(crate) depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a str, scratch: &'a mut Scratch) -> Self {
        scratch.text.clear();
        Self { body, at: 0, scratch }
    }

    /// The text that was read.
    #[inline(always)]
    pub(crate) fn get(&self, text: Text) -> &str {
        let from = if text.in_scratch { self.scratch.text.as_str() } else { self.body };
        from.get(text.start..text.end).unwrap_or_default()
    }

    /// A point to which [`Reader::release`] goes back.
    #[inline(always)]
    pub(crate) fn mark(&self) -> usize {
        self.scratch.text.len()
    }

    /// Forgets the scratch text read since the mark.
    #[inline(always)]
    pub(crate) fn release(&mut self, mark: usize) {
        self.scratch.text.truncate(mark);
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space, not consumed.
    #[inline(always)]
    pub(crate) fn peek_token(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        if byte > b' ' {
            return Some(byte);
        }
        self.at = skip_whitespace(self.body.as_bytes(), self.at);
        self.peek()
    }

    /// Consumes `byte` after white space, if it is there.
    #[inline(always)]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek_token() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[cold]
    pub(crate) fn syntax(&self, expected: &str) -> Fault {
        let found = match self.body.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("found {found:?}"),
            None => "the body ends".to_owned(),
        };
        fault(RejectCode::InvalidJson, format!("not valid JSON: expected {expected} at byte {} of the body, {found}", self.at))
    }

    /// Reads an object's next key and its colon; `first` tells whether a comma must come before. `None` at the end of the object.
    #[inline(always)]
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<Text>, Fault> {
        let mut token = self.peek_token();
        if token == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !first {
            if token != Some(b',') {
                return Err(self.syntax("',' or '}'"));
            }
            self.at += 1;
            token = self.peek_token();
        }
        if token != Some(b'"') {
            return Err(self.syntax("a field name in double quotes"));
        }
        let key = self.string()?;
        if !self.eat(b':') {
            return Err(self.syntax("':'"));
        }
        Ok(Some(key))
    }

    /// Reads the string whose opening quote is the next byte.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Text, Fault> {
        let start = self.at + 1;
        let end = next_special(self.body.as_bytes(), start);
        if self.body.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Text { start, end, in_scratch: false });
        }
        self.string_with_escapes(start, end)
    }

    #[cold]
    fn string_with_escapes(&mut self, start: usize, first_special: usize) -> Result<Text, Fault> {
        let scratch_start = self.scratch.text.len();
        let (mut plain_from, mut at) = (start, first_special);
        loop {
            self.at = at;
            self.scratch.text.push_str(self.body.get(plain_from..at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text { start: scratch_start, end: self.scratch.text.len(), in_scratch: true });
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.syntax("an escape such as \\n in place of the control character")),
                None => return Err(self.syntax("the closing quote of a string")),
            }
            plain_from = self.at;
            at = next_special(self.body.as_bytes(), plain_from);
        }
    }

    /// Reads the escape whose backslash is the next byte.
    fn escape(&mut self) -> Result<(), Fault> {
        let plain = match self.body.as_bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.syntax("an escape that JSON knows")),
        };
        self.scratch.text.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), Fault> {
        let unit = self.hex_unit(self.at).ok_or_else(|| self.syntax("\\u and four hexadecimal digits"))?;
        let low = match unit {
            0xD800..0xDC00 => self.hex_unit(self.at + 6).filter(|low| (0xDC00..0xE000).contains(low)),
            _ => None,
        };
        let code_point = low.map_or(unit, |low| 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
        let Some(character) = char::from_u32(code_point) else {
            let message = format!("the escape \\u{unit:04x} at byte {} of the body is half of a surrogate pair: send both halves", self.at);
            return Err(fault(RejectCode::InvalidText, message));
        };
        self.scratch.text.push(character);
        self.at += if low.is_some() { 12 } else { 6 };
        Ok(())
    }

    /// The value of the `\u` escape at a position.
    fn hex_unit(&self, at: usize) -> Option<u32> {
        let digits = self.body.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    /// Reads a number; its text is what lies between the position before and after.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Result<Number, Fault> {
        match read_number(self.body, self.at) {
            Ok((number, end)) => {
                self.at = end;
                Ok(number)
            }
            Err(reason) => Err(self.number_fault(reason)),
        }
    }

    #[cold]
    fn number_fault(&self, reason: NumberFault) -> Fault {
        let what = match reason {
            NumberFault::Syntax => return self.syntax("a value"),
            NumberFault::NotFinite => "is not finite: send null, or leave it out",
            NumberFault::IntegerTooLarge => "is an integer of more than 64 bits: send it as a string",
            NumberFault::FloatTooLarge => "is beyond the range of 64-bit floats (about 1.8e308): send it as a string",
        };
        fault(RejectCode::InvalidNumber, format!("the number at byte {} of the body {what}", self.at))
    }

    /// Consumes `true`, `false` or `null`, whichever is asked for.
    #[inline(always)]
    pub(crate) fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.body.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.syntax("a value"))
    }

    /// The text between two positions of the body.
    #[inline(always)]
    pub(crate) fn span(&self, start: usize, end: usize) -> Text {
        Text { start, end, in_scratch: false }
    }

    /// Reads and checks any value of any depth, and drops it.
    pub(crate) fn skip_value(&mut self) -> Result<(), Fault> {
        self.walk().map(|_| ())
    }

    /// Reads and checks a list or object; gives its JSON text without white space.
    pub(crate) fn nested(&mut self) -> Result<Nested, Fault> {
        let start = self.at;
        let walked = self.walk()?;
        let text = if walked.has_whitespace { self.compacted(start, self.at) } else { self.span(start, self.at) };
        Ok(Nested { text, depth: walked.depth })
    }

    fn compacted(&mut self, start: usize, end: usize) -> Text {
        let scratch_start = self.scratch.text.len();
        let json = self.body.get(start..end).unwrap_or_default();
        let (mut in_string, mut escaped, mut plain_from) = (false, false, 0);
        for (i, byte) in json.bytes().enumerate() {
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                self.scratch.text.push_str(&json[plain_from..i]);
                plain_from = i + 1;
            } else {
                in_string = byte == b'"';
            }
        }
        self.scratch.text.push_str(&json[plain_from..]);
        Text { start: scratch_start, end: self.scratch.text.len(), in_scratch: true }
    }

    /// Walks over one value, checking all of it; an explicit stack, so that depth 1,000,000 costs a megabyte and no frame.
    fn walk(&mut self) -> Result<Walked, Fault> {
        let mut walked = Walked::default();
        self.scratch.open.clear();
        loop {
            self.note_whitespace(&mut walked);
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.scratch.open.push(open);
                    walked.depth = walked.depth.max(self.scratch.open.len());
                    self.note_whitespace(&mut walked);
                    if self.peek() == Some(close_of(open)) {
                        self.at += 1;
                        self.scratch.open.pop();
                    } else {
                        self.inner_key(open, &mut walked)?;
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if !self.after_inner_value(&mut walked)? {
                return Ok(walked);
            }
        }
    }

    /// Closes what ends here; true when another value follows.
    fn after_inner_value(&mut self, walked: &mut Walked) -> Result<bool, Fault> {
        while let Some(&open) = self.scratch.open.last() {
            self.note_whitespace(walked);
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.note_whitespace(walked);
                    self.inner_key(open, walked)?;
                    return Ok(true);
                }
                Some(close) if close == close_of(open) => {
                    self.at += 1;
                    self.scratch.open.pop();
                }
                _ => return Err(self.syntax(if open == b'{' { "',' or '}'" } else { "',' or ']'" })),
            }
        }
        Ok(false)
    }

    /// In an object, the key and the colon before the next value.
    fn inner_key(&mut self, open: u8, walked: &mut Walked) -> Result<(), Fault> {
        if open == b'[' {
            return Ok(());
        }
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a field name in double quotes"));
        }
        let mark = self.mark();
        self.string()?;
        self.release(mark);
        self.note_whitespace(walked);
        if self.peek() != Some(b':') {
            return Err(self.syntax("':'"));
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => {
                let mark = self.mark();
                self.string()?;
                self.release(mark);
                Ok(())
            }
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number().map(|_| ()),
        }
    }

    #[inline(always)]
    fn note_whitespace(&mut self, walked: &mut Walked) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            let before = self.at;
            self.at = skip_whitespace(self.body.as_bytes(), before);
            walked.has_whitespace |= self.at > before;
        }
    }
}

#[derive(Default)]
struct Walked {
    depth: usize,
    has_whitespace: bool,
}

fn close_of(open: u8) -> u8 {
    if open == b'{' { b'}' } else { b']' }
}
