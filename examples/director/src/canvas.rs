//! The screen of a terminal as a canvas: lines are painted over the last ones, without flicker.

use core::fmt::Write as _;

/// Another screen, without cursor, where long lines are cut.
pub const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";

/// The screen, the cursor and long lines as they were.
pub const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// What is needed to paint over what is there.
///
/// ```
/// use director::canvas::Canvas;
///
/// let mut canvas = Canvas::default();
/// let lines = ["one".to_owned(), "two".to_owned()];
/// assert!(canvas.paint(&lines, (24, 80)).starts_with("\x1b[H\x1b[2Jone"));
/// assert!(canvas.paint(&lines, (24, 80)).starts_with("\x1b[Hone"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Canvas {
    /// Lines and columns the last time.
    size: (usize, usize),
}

impl Canvas {
    /// What to write to a terminal of so many lines and columns; all is cleared first where that has
    /// changed. There are at most so many `lines`, and none moves the cursor.
    pub fn paint(&mut self, lines: &[String], size: (usize, usize)) -> String {
        let mut text = String::from("\x1b[H");
        if core::mem::replace(&mut self.size, size) != size {
            text.push_str("\x1b[2J");
        }
        for (number, line) in lines.iter().enumerate() {
            // After the last line nothing may scroll.
            let end = if number == 0 { "" } else { "\r\n" };
            let _ = write!(text, "{end}{line}\x1b[K");
        }
        text.push_str("\x1b[J");
        text
    }
}
