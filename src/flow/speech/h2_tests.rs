//! What is said over HTTP/2 in cleartext, heard from segments.

use super::h2;
use super::tests::Wire;

#[test]
fn http2_in_cleartext_is_counted() {
    let headers = [0, 0, 3, 1, 4, 0, 0, 0, 1, 1, 2, 3];
    let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let wire = Wire::new()
        .client(&[h2::PREFACE, &settings[..], &headers, &reset, &headers].concat())
        .server(&[&settings[..], &headers].concat());
    assert_eq!(wire.end(), ["h2 ToServer 2 1", "h2 ToClient 1 0, 0 of 1 failed"]);
    let upgraded = Wire::new()
        .client(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
        .server(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n")
        .server(&[&settings[..], &headers].concat())
        .client(&[h2::PREFACE, &settings[..], &headers].concat());
    assert_eq!(upgraded.end()[1..], ["0< 101 after 10ms", "0. 0", UNTOLD, "h2 ToServer 1 0"]);
}

/// A response whose status cannot be told.
const UNTOLD: &str = "h2 ToClient 1 0, 0 of 1 failed";

#[test]
fn statuses_of_http2_responses_are_read_over_several_segments() {
    let failed = [0, 0, 5, 1, 4, 0, 0, 0, 1, 0x48, 3, b'5', b'0', b'3'];
    let again = [0, 0, 1, 1, 4, 0, 0, 0, 3, 0xbe];
    let data = [0, 0, 2, 0, 1, 0, 0, 0, 1, 0xbe, 0xbe];
    let wire = Wire::new().client(h2::PREFACE).server(&failed[..11]).server(&failed[11..]);
    let wire = wire.server(&[&data[..], &again, &data].concat());
    let told: Vec<String> = wire.end().into_iter().filter(|said| said.contains("ToClient 1")).collect();
    assert_eq!(told, ["h2 ToClient 1 0, 1 of 1 failed", "h2 ToClient 1 0, 1 of 1 failed"]);
}
