//! The client's CTAP2 against a device that was written apart from it. The device is simulated: reports over
//! a Unix socket instead of USB, a configured answer instead of a finger. The signatures are real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::emulator::{Finger, Happened};
use common::{ORIGIN, Person};
use kekkai_vdi::fido::assertion::{self, Request};
use kekkai_vdi::fido::{FidoError, Progress};
use tokio::sync::oneshot;

async fn assert(person: &Person) -> Result<String, FidoError> {
    let request = Request::parse(&person.question().to_string(), &ORIGIN.parse().unwrap()).unwrap();
    let (_keep, give_up) = oneshot::channel();
    assertion::get(Some(person.device()), &request, |_| {}, give_up).await
}

#[tokio::test(flavor = "multi_thread")]
async fn assertion_is_signed_over_this_challenge_with_the_user_verified() {
    let person = Person::enrol();
    let question = person.question();
    let request = Request::parse(&question.to_string(), &ORIGIN.parse().unwrap()).unwrap();
    let (_keep, give_up) = oneshot::channel();
    let seen = Mutex::new(Vec::new());
    let progress = |p| seen.lock().unwrap().push(p);
    let credential = assertion::get(Some(person.device()), &request, progress, give_up)
        .await
        .unwrap();
    assert!(person.accepts(&question, &credential));
    assert!(seen.lock().unwrap().contains(&Progress::FingerNeeded));
    // The control: the same assertion is none for another challenge.
    assert!(!person.accepts(&person.question(), &credential));
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_of_other_programs_disturbs_nothing() {
    let person = Person::enrol();
    person.finger(Finger::Noisy);
    assert!(assert(&person).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_finger_there_is_no_assertion() {
    let person = Person::enrol();
    for (finger, is_expected) in [
        (
            Finger::Wrong,
            (|e| matches!(e, FidoError::NotVerified)) as fn(&FidoError) -> bool,
        ),
        (Finger::Skipped, |e| matches!(e, FidoError::NotVerified)),
        (Finger::NotEnrolled, |e| matches!(e, FidoError::NoBiometric)),
        (Finger::Dead, |e| matches!(e, FidoError::Device { .. })),
    ] {
        person.finger(finger);
        let error = assert(&person).await.unwrap_err();
        assert!(is_expected(&error), "{finger:?}: {error:?}");
    }
    // The same device, the right finger.
    person.finger(Finger::Right);
    assert(&person).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_persons_authenticator_is_refused() {
    let person = Person::enrol();
    let other = Person::enrol();
    let request = Request::parse(&other.question().to_string(), &ORIGIN.parse().unwrap()).unwrap();
    let (_keep, give_up) = oneshot::channel();
    let refused = assertion::get(Some(person.device()), &request, |_| {}, give_up).await;
    assert!(matches!(refused, Err(FidoError::NoCredential)));
    assert_eq!(person.happened(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_reaches_the_authenticator() {
    let person = Person::enrol();
    person.finger(Finger::None);
    let request = Request::parse(&person.question().to_string(), &ORIGIN.parse().unwrap()).unwrap();
    let (give_up, given_up) = oneshot::channel();
    let begun = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        give_up.send(()).unwrap();
    };
    let asked = assertion::get(Some(person.device()), &request, |_| {}, given_up);
    let (asked, ()) = tokio::join!(asked, later);
    assert!(matches!(asked, Err(FidoError::Cancelled)));
    while person.happened() != [Happened::Cancelled] {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "no CTAPHID_CANCEL came"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
