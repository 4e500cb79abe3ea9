//! Answers that do not come, or not to their end.

use super::*;

#[test]
fn a_request_without_an_answer_is_told_after_ten_seconds_and_once() {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    mirror.repeats(&talk, ToServer, ACK, request);
    mirror.wait(Span::from_secs(3));
    mirror.sends(&mut talk, ToServer, ACK, request);
    assert_eq!(mirror.after(Span::from_secs(5))[Count::Unanswered], 0);
    assert_eq!(mirror.after(Span::from_secs(2))[Count::Unanswered], 1, "a repetition is no question");
    assert_eq!(mirror.after(Span::from_secs(60))[Count::Unanswered], 1);
    assert_eq!(mirror.of(ADDRESS).unanswered, 1);
    mirror.sends(&mut talk, ToClient, ACK, b"HTTP/1.1 200 x\r\n\r\n");
    let counts = mirror.after(Span::from_secs(1));
    assert_eq!([Count::FirstBytes, Count::FirstByteWait].map(|count| counts[count]), [1, 60_000_000]);
}

#[test]
fn a_service_that_breaks_off_has_not_answered_and_a_client_that_does_soon_has_not_asked() {
    for (from, flags, (waited, unanswered)) in [
        (ToClient, RST, (1, 1)),
        (ToClient, FIN, (1, 1)),
        (ToServer, RST, (1, 0)),
        (ToServer, FIN, (1, 0)),
        (ToServer, RST, (4, 1)),
        (ToServer, FIN, (4, 1)),
    ] {
        let mut mirror = Mirror::new();
        let mut talk = mirror.open(CLIENT);
        mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        mirror.wait(Span::from_secs(waited));
        mirror.sends(&mut talk, from, flags, b"");
        mirror.sends(&mut talk, from.reverse(), FIN, b"");
        let counts = mirror.after(Span::from_secs(3));
        assert_eq!(counts[Count::Unanswered], unanswered, "{from:?} {flags:?} {waited}");
    }
}

/// The first half of an answer, and a part of one that ends nobody knows where.
const HALF: &[u8] = b"HTTP/1.1 200 x\r\nContent-Length: 8\r\n\r\n1234";
const EVENTS: &[u8] = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n";

/// Whether an answer whose first half came is told to be none.
fn unanswered_behind_half(then: impl FnOnce(&mut Mirror, &mut Talk)) -> u64 {
    unanswered_behind(HALF, then)
}

fn unanswered_behind(part: &[u8], then: impl FnOnce(&mut Mirror, &mut Talk)) -> u64 {
    let mut mirror = Mirror::new();
    let mut talk = mirror.open(CLIENT);
    mirror.sends(&mut talk, ToServer, ACK, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    mirror.wait(Span::from_secs(1));
    mirror.sends(&mut talk, ToClient, ACK, part);
    then(&mut mirror, &mut talk);
    let counts = mirror.after(Span::from_secs(30));
    assert_eq!(counts[Count::Broken], counts[Count::Unanswered]);
    assert_eq!(counts.served() + counts[Count::Broken], 1);
    counts[Count::Unanswered]
}

#[test]
fn an_answer_that_its_service_breaks_off_is_none() {
    for flags in [RST, FIN] {
        let told = unanswered_behind_half(|mirror, talk| mirror.sends(talk, ToClient, flags, b""));
        assert_eq!(told, 1, "{flags:?}");
        let told = unanswered_behind_half(|mirror, talk| mirror.sends(talk, ToServer, flags, b""));
        assert_eq!(told, 0, "{flags:?}: the client had enough");
        let told = unanswered_behind_half(|mirror, talk| {
            talk.next[ToClient as usize] += 4;
            mirror.sends(talk, ToClient, flags, b"");
        });
        assert_eq!(told, 0, "{flags:?}: the mirror missed the rest");
    }
}

#[test]
fn an_answer_that_stops_in_the_middle_is_none_unless_its_client_does_not_take_it() {
    assert_eq!(unanswered_behind_half(|_, _| ()), 1);
    let told = unanswered_behind_half(|mirror, talk| {
        for _ in 0..4 {
            mirror.wait(Span::from_secs(8));
            talk.next[ToClient as usize] -= 1;
            mirror.sends(talk, ToClient, ACK, b"4");
        }
    });
    assert_eq!(told, 0, "nobody says that he has it");
    let told = unanswered_behind_half(|mirror, talk| {
        talk.window[ToServer as usize] = 0;
        mirror.sends(talk, ToServer, ACK, b"");
    });
    assert_eq!(told, 0, "there is no room for it");
    let told = unanswered_behind_half(|mirror, talk| mirror.sends(talk, ToClient, ACK, b"5678"));
    assert_eq!(told, 0, "it is whole");
}

#[test]
fn who_is_told_what_happens_may_wait_for_it() {
    assert_eq!(unanswered_behind(EVENTS, |_, _| ()), 0);
    assert_eq!(unanswered_behind(EVENTS, |mirror, talk| mirror.sends(talk, ToClient, FIN, b"")), 0);
    assert_eq!(unanswered_behind(EVENTS, |mirror, talk| mirror.sends(talk, ToClient, ACK, b"4\r\n12")), 1);
}
