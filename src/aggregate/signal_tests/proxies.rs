//! To whom what happens on the connections of a trusted proxy belongs: a few packets by hand each.

use super::*;

const PROXY: &str = "10.0.0.3";
const A: &str = "198.51.100.7";
const B: &str = "203.0.113.9";

/// A mirror behind which the proxy is believed, or is not.
fn mirror(trusts: bool) -> Mirror {
    let mut mirror = Mirror::new();
    if trusts {
        mirror.tracker.trust(&TrustedProxies::new(&["10.0.0.0/28".parse().unwrap()]));
    }
    mirror
}

fn request(path: &str, client: Option<&str>) -> Vec<u8> {
    let forwarded = client.map_or(String::new(), |client| format!("X-Forwarded-For: {client}\r\n"));
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{forwarded}\r\n").into_bytes()
}

fn answer(mirror: &mut Mirror, talk: &mut Talk, (wait, status): (u64, u16)) {
    mirror.wait(Span::from_millis(wait));
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    mirror.sends(talk, ToClient, ACK, answer.as_bytes());
    mirror.wait(Span::from_millis(10));
}

/// Three requests on one connection within a second, the last one the proxy's own; then one that nobody answers.
fn four_requests(mirror: &mut Mirror) -> Counts {
    let mut talk = mirror.open(&format!("{PROXY}:4000"));
    for (client, path, answered) in
        [(Some(A), "/login", (400, 401)), (Some(B), "/b", (100, 404)), (None, "/health", (50, 200))]
    {
        mirror.sends(&mut talk, ToServer, ACK, &request(path, client));
        answer(mirror, &mut talk, answered);
    }
    mirror.sends(&mut talk, ToServer, ACK, &request("/slow", Some(B)));
    mirror.after(Span::from_secs(20))
}

#[test]
fn what_an_answer_says_belongs_to_the_client_that_asked() {
    let mut mirror = mirror(true);
    four_requests(&mut mirror);
    let told = |client| {
        let Cell { requests, responses, client_errors, denied, missing, first_bytes, unanswered, .. } =
            mirror.of(client);
        ([requests, responses, client_errors], [denied, missing, first_bytes, unanswered])
    };
    assert_eq!(told(A), ([1, 1, 1], [1, 0, 1, 0]));
    assert_eq!(told(B), ([2, 1, 1], [0, 1, 1, 1]));
    assert_eq!(told(PROXY), ([1, 1, 0], [0, 0, 1, 0]));
    let waited = [A, B, PROXY].map(|client| (mirror.of(client).wait_us + 500) / 1_000);
    assert_eq!(waited, [400, 100, 50]);
    // Both addresses stay: who sent the packets, and who asked.
    let packets = [A, B, PROXY].map(|client| mirror.of(client).packets > 0);
    assert_eq!(packets, [false, false, true]);
}

#[test]
fn a_proxy_that_is_not_trusted_asks_for_itself_and_the_sums_are_the_same() {
    let (mut trusting, mut other) = (mirror(true), mirror(false));
    assert_eq!(four_requests(&mut trusting), four_requests(&mut other));
    let told = other.of(PROXY);
    assert_eq!((told.requests, told.denied, told.missing, told.unanswered), (4, 1, 1, 1));
    assert_eq!(other.of(A), Cell::default());
}

#[test]
fn what_is_asked_sealed_belongs_to_the_client_that_the_proxy_named_before() {
    let mut mirror = mirror(true);
    let mut talk = mirror.open(&format!("{PROXY}:4000"));
    let named = format!("PROXY TCP4 {A} 192.0.2.1 5000 80\r\n").into_bytes();
    mirror.sends(&mut talk, ToServer, ACK, &[named, hello()].concat());
    mirror.sends(&mut talk, ToClient, ACK, &[22; 1_200]);
    for _ in 0..3 {
        mirror.wait(Span::from_millis(300));
        mirror.sends(&mut talk, ToServer, ACK, &[23; 400]);
        mirror.wait(Span::from_millis(100));
        mirror.sends(&mut talk, ToClient, ACK, &[23; 1_200]);
    }
    mirror.after(Span::from_secs(1));
    assert_eq!([A, PROXY].map(|client| mirror.of(client).accesses), [3, 0]);
    assert_eq!([A, PROXY].map(|client| mirror.of(client).first_bytes), [4, 0]);
}

#[test]
fn whoever_takes_over_the_place_of_a_connection_asks_for_himself() {
    let mut mirror = mirror(true);
    let mut talk = mirror.open(&format!("{PROXY}:4000"));
    mirror.sends(&mut talk, ToServer, ACK, &request("/a", Some(A)));
    answer(&mut mirror, &mut talk, (50, 404));
    mirror.sends(&mut talk, ToServer, FIN, b"");
    mirror.sends(&mut talk, ToClient, FIN, b"");
    mirror.wait(Span::from_secs(10));
    let mut talk = mirror.open(&format!("{B}:4001"));
    mirror.sends(&mut talk, ToServer, ACK, &request("/b", None));
    answer(&mut mirror, &mut talk, (50, 404));
    mirror.after(Span::from_secs(2));
    assert_eq!([A, B, PROXY].map(|client| mirror.of(client).missing), [1, 1, 0]);
}
