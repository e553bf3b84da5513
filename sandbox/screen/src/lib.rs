//! A session's screen: tiles, differences, scrolling, watermark, what to send next.
