/**
 * Every error class of winnow. Messages read: Cannot <act> "<thing>": <current>, expected <wanted>.
 *
 * @module
 */

/** The parts of an error message. */
export interface ErrorDetails {
  /** The verb phrase after "Cannot", such as `read`. */
  readonly act: string;
  /** The name of the file, flag, tensor or kernel. */
  readonly thing: string;
  /** What is there now. */
  readonly current: string;
  /** What was expected instead. */
  readonly wanted: string;
}

/** The details as one line. */
function formatDetails({ act, thing, current, wanted }: ErrorDetails): string {
  return `Cannot ${act} "${thing}": ${current}, expected ${wanted}`;
}

/** No usable WebGPU adapter, or an adapter whose limits or features do not suffice. */
export class AdapterError extends Error {
  /** `AdapterError`, which survives minifying. */
  override readonly name: string = "AdapterError";
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
  }
}

/** A flag, config file or option with a value that is not allowed. */
export class ConfigError extends TypeError {
  /** `ConfigError`, which survives minifying. */
  override readonly name: string = "ConfigError";
  /** The parts of the message. */
  readonly details: ErrorDetails;
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
    this.details = details;
  }
}

/** A file whose bytes are not what its format says. The message names file and offset. */
export class FormatError extends SyntaxError {
  /** `FormatError`, which survives minifying. */
  override readonly name: string = "FormatError";
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
  }
}

/** A file or folder that is missing, not readable, not writable, or in the way. */
export class FileError extends Error {
  /** `FileError`, which survives minifying. */
  override readonly name: string = "FileError";
  /** An error with these details as its message, and the system's error as `cause`, if there is one. */
  constructor(details: ErrorDetails, options?: ErrorOptions) {
    super(formatDetails(details), options);
  }
}

/** Sizes that do not fit together: a layer and its input, a model and a data set, a tensor and its file. */
export class ShapeError extends RangeError {
  /** `ShapeError`, which survives minifying. */
  override readonly name: string = "ShapeError";
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
  }
}

/** A loss, parameter, statistic or score that is NaN or infinite, or a variance below zero. */
export class NumericError extends RangeError {
  /** `NumericError`, which survives minifying. */
  override readonly name: string = "NumericError";
  /** The zero-based training step at which it first appeared; undefined outside of training. */
  readonly step: number | undefined;
  /** An error with these details as its message, at a zero-based training step if it has one. */
  constructor(details: ErrorDetails, step?: number) {
    super(formatDetails(details));
    this.step = step;
  }
}

/** A WGSL kernel that does not compile, or that was bound wrongly. That is a bug in winnow or in a driver. */
export class KernelError extends Error {
  /** `KernelError`, which survives minifying. */
  override readonly name: string = "KernelError";
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
  }
}

/** Something that is used at a wrong time: after it was disposed of, or while another call on it is running. */
export class StateError extends Error {
  /** `StateError`, which survives minifying. */
  override readonly name: string = "StateError";
  /** An error with these details as its message. */
  constructor(details: ErrorDetails) {
    super(formatDetails(details));
  }
}

/** The error for using something that was disposed of: its kind, such as `model`, and its name. */
export function disposedError(kind: string, thing: string): StateError {
  return new StateError({
    act: `use ${kind}`,
    thing,
    current: "it was disposed of",
    wanted: `a ${kind} that is in use`,
  });
}

/** True for errors that a user can act on, which commands print as one line without a stack. */
export function isWinnowError(error: unknown): error is Error {
  return [
    AdapterError,
    ConfigError,
    FormatError,
    FileError,
    ShapeError,
    NumericError,
    KernelError,
    StateError,
  ]
    .some((kind) => error instanceof kind);
}
