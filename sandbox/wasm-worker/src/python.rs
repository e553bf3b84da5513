//! Names of errors that Python itself has.
//!
//! A script can give a class any name, and the error of a run is shown where rows are not: a made-up name would
//! carry data out.

/// Built-in exceptions of CPython 3, and those of the `kekkai` module.
const NAMES: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "BaseExceptionGroup",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "ChildProcessError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "Exception",
    "ExceptionGroup",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "GeneratorExit",
    "ImportError",
    "IndentationError",
    "IndexError",
    "InterruptedError",
    "IsADirectoryError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotImplementedError",
    "OSError",
    "OutputError",
    "OverflowError",
    "PermissionError",
    "ProcessLookupError",
    "PythonFinalizationError",
    "QueryError",
    "RecursionError",
    "ReferenceError",
    "RuntimeError",
    "ScratchError",
    "StopAsyncIteration",
    "StopIteration",
    "StreamError",
    "SyntaxError",
    "SystemError",
    "SystemExit",
    "TabError",
    "TimeoutError",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "UnicodeError",
    "UnicodeTranslateError",
    "ValueError",
    "ZeroDivisionError",
];

/// The name, where it is one of Python's own; otherwise that of the class which all errors have.
pub(crate) fn error_name(kind: &str) -> &'static str {
    NAMES
        .binary_search(&kind)
        .ok()
        .and_then(|at| NAMES.get(at).copied())
        .unwrap_or("Exception")
}

#[cfg(test)]
mod tests {
    use super::{NAMES, error_name};

    #[test]
    fn a_made_up_name_is_not_told() {
        assert!(NAMES.is_sorted());
        assert_eq!(error_name("ZeroDivisionError"), "ZeroDivisionError");
        assert_eq!(error_name("Patient4711HasDiabetes"), "Exception");
        assert_eq!(error_name(""), "Exception");
    }
}
