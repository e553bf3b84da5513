use super::*;
use crate::{FRAME_MAX, FromWorker, ToWorker, broker_channel};
use kekkai_types::JobId;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn pair() -> (OwnedFd, OwnedFd) {
    scm::stream_pair().unwrap()
}

fn query(sql: &str) -> ToWorker {
    ToWorker::Query {
        job: JobId::new("1").unwrap(),
        sql: sql.to_owned(),
    }
}

#[test]
fn message_and_descriptors_arrive_in_order() {
    let (ours, theirs) = pair();
    // More than one message of SCM_RIGHTS can carry.
    let files: Vec<_> = (0..600)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let (mut pipe_read, mut pipe_write) = std::io::pipe().unwrap();
    let mut fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    fds.push(pipe_write.as_fd());
    let message = query("SELECT 1");
    std::thread::scope(|scope| {
        scope.spawn(|| send(ours.as_fd(), &message, &fds).unwrap());
        let (_, mut receiver) = worker_channel::<FromWorker, ToWorker>(theirs);
        let (message, mut got) = receiver.receive().unwrap().unwrap();
        assert!(matches!(message, ToWorker::Query { sql, .. } if sql == "SELECT 1"));
        assert_eq!(got.len(), 601);
        let last = got.pop().unwrap();
        std::fs::File::from(last).write_all(b"through").unwrap();
    });
    pipe_write.write_all(b".").unwrap();
    let mut text = [0; 8];
    pipe_read.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"through.");
}

#[tokio::test]
async fn broker_and_worker_talk() {
    let (ours, theirs) = pair();
    let (mut to, mut from) = broker_channel::<ToWorker, FromWorker>(ours).unwrap();
    let worker = std::thread::spawn(move || {
        let (sender, mut receiver) = worker_channel::<FromWorker, ToWorker>(theirs);
        let layers = BTreeMap::from([("seccomp".to_owned(), "yes".to_owned())]);
        sender.send(&FromWorker::Jailed { layers }).unwrap();
        while let Some((message, _)) = receiver.receive().unwrap() {
            let ToWorker::Query { job, .. } = message else {
                panic!()
            };
            sender.send(&FromWorker::Cancelled { job }).unwrap();
        }
    });
    assert!(matches!(
        from.receive().await.unwrap(),
        Some(FromWorker::Jailed { .. })
    ));
    // Larger than the socket's buffer: both ends must go on after a short write.
    to.send(&query(&"x".repeat(1_000_000)), &[]).await.unwrap();
    assert!(matches!(
        from.receive().await.unwrap(),
        Some(FromWorker::Cancelled { .. })
    ));
    drop((to, from));
    worker.join().unwrap();
}

#[tokio::test]
async fn broker_refuses_oversized_frames_before_reading_them() {
    let (ours, theirs) = pair();
    let (_to, mut from) = broker_channel::<ToWorker, FromWorker>(ours).unwrap();
    let mut theirs = UnixStream::from(theirs);
    let length = u32::try_from(FRAME_MAX + 1).unwrap().to_be_bytes();
    theirs.write_all(&length).unwrap();
    theirs.write_all(&[0; 4]).unwrap();
    assert!(matches!(
        from.receive().await,
        Err(FrameError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn broker_refuses_announced_descriptors_and_never_holds_hidden_ones() {
    let (ours, theirs) = pair();
    let (_to, mut from) = broker_channel::<ToWorker, FromWorker>(ours).unwrap();
    let (read_end, write_end) = std::io::pipe().unwrap();
    let message = serde_json::to_vec(&FromWorker::Loaded {
        functions: Vec::new(),
    })
    .unwrap();
    let mut frame = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&message);
    scm::send(theirs.as_fd(), &frame, &[write_end.as_fd()]).unwrap();
    drop(write_end);
    assert!(matches!(
        from.receive().await.unwrap(),
        Some(FromWorker::Loaded { .. })
    ));
    // The only copy left would be the broker's: the pipe's end shows that there is none.
    let mut read_end = std::fs::File::from(OwnedFd::from(read_end));
    let mut rest = Vec::new();
    read_end.read_to_end(&mut rest).unwrap();

    scm::send(theirs.as_fd(), &[0, 0, 0, 1, 0, 0, 0, 1], &[]).unwrap();
    assert!(matches!(
        from.receive().await,
        Err(FrameError::TooLarge { fds: 1, .. })
    ));
}

#[test]
fn worker_refuses_other_descriptors_than_announced() {
    let (ours, theirs) = pair();
    let (_, mut receiver) = worker_channel::<FromWorker, ToWorker>(theirs);
    let null = std::fs::File::open("/dev/null").unwrap();
    scm::send(ours.as_fd(), &[0, 0, 0, 2, 0, 0, 0, 2], &[]).unwrap();
    scm::send(ours.as_fd(), &[0], &[null.as_fd()]).unwrap();
    assert!(matches!(receiver.receive(), Err(FrameError::Descriptors)));
}

#[test]
fn malformed_frames_are_not_quoted() {
    let (ours, theirs) = pair();
    let text = br#"{"query":{"job":"1","sql":"tanaka","surplus":"hanako"}}"#;
    let mut frame = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text);
    scm::send(ours.as_fd(), &frame, &[]).unwrap();
    let (_, mut receiver) = worker_channel::<FromWorker, ToWorker>(theirs);
    let error = receiver.receive().err().unwrap();
    assert_eq!(error.to_string(), "the peer's frame is no message");
    assert!(std::error::Error::source(&error).is_none());
}

proptest! {
    /// Any bytes: an error, an end, or a message; never a panic, never more than the bound.
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (ours, theirs) = pair();
        UnixStream::from(ours).write_all(&bytes).unwrap();
        let result = receive::<FromWorker>(theirs.as_fd());
        prop_assert!(!matches!(result, Ok(Some(_))));
    }

    /// Any JSON in a whole frame.
    #[test]
    fn any_json_is_read_without_panic(text in "[\\[\\]{}:,\"a-z0-9 .-]{0,200}") {
        let (ours, theirs) = pair();
        let mut frame = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        UnixStream::from(ours).write_all(&frame).unwrap();
        let result = receive::<FromWorker>(theirs.as_fd());
        let is_loaded = matches!(result, Ok(Some((FromWorker::Loaded { .. }, _))));
        prop_assert!(is_loaded || matches!(result, Err(FrameError::Malformed)));
    }

    /// A frame that is cut anywhere is an error or an end, never a message.
    #[test]
    fn cut_frames_are_refused(cut in 0_usize..60) {
        let (ours, theirs) = pair();
        let frame = Frame::of(&query("SELECT count(*) FROM visits WHERE a = 1"), 0).unwrap();
        let mut bytes = frame.header.to_vec();
        bytes.extend_from_slice(frame.body.bytes());
        UnixStream::from(ours).write_all(&bytes[..cut]).unwrap();
        let result = receive::<ToWorker>(theirs.as_fd());
        let refused = match cut {
            0 => matches!(result, Ok(None)),
            _ => matches!(result, Err(FrameError::Truncated)),
        };
        prop_assert!(refused);
    }
}
