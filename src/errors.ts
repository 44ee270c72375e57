/**
 * Every error class of winnow. Messages read: Cannot <act> "<thing>": <current>, expected <wanted>.
 *
 * @module
 */

/** What was attempted, on what, what was found, and what would have served. */
export interface Complaint {
  /** The verb phrase after "Cannot", such as `read`. */
  readonly act: string;
  /** The name of the file, flag, tensor or kernel. */
  readonly thing: string;
  /** What is there now. */
  readonly current: string;
  /** What was expected instead. */
  readonly wanted: string;
}

/** Formats a complaint in the house's one-line form. */
export function complain({ act, thing, current, wanted }: Complaint): string {
  return `Cannot ${act} "${thing}": ${current}, expected ${wanted}`;
}

/** No usable WebGPU adapter, or one whose limits or features do not serve. */
export class AdapterError extends Error {
  /** `AdapterError`, which survives minifying. */
  override readonly name: string = "AdapterError";
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
  }
}

/** A flag, config file or option with a value that is not allowed. */
export class ConfigError extends TypeError {
  /** `ConfigError`, which survives minifying. */
  override readonly name: string = "ConfigError";
  /** What the message says, in parts. */
  readonly complaint: Complaint;
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
    this.complaint = complaint;
  }
}

/** A file whose bytes are not what its format says. The complaint names file and offset. */
export class FormatError extends SyntaxError {
  /** `FormatError`, which survives minifying. */
  override readonly name: string = "FormatError";
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
  }
}

/** A file or folder that is missing, not readable, not writable, or in the way. */
export class FileError extends Error {
  /** `FileError`, which survives minifying. */
  override readonly name: string = "FileError";
  /** An error that reads as the complaint, with the system's error as `cause` where there is one. */
  constructor(complaint: Complaint, options?: ErrorOptions) {
    super(complain(complaint), options);
  }
}

/** Sizes that do not fit together: a layer and its input, a model and a data set, a tensor and its file. */
export class ShapeError extends RangeError {
  /** `ShapeError`, which survives minifying. */
  override readonly name: string = "ShapeError";
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
  }
}

/** A loss, parameter, statistic or score that is NaN or infinite, or a variance below zero. */
export class NumericError extends RangeError {
  /** `NumericError`, which survives minifying. */
  override readonly name: string = "NumericError";
  /** The zero-based training step at which it first appeared; undefined outside of training. */
  readonly step: number | undefined;
  /** An error that reads as the complaint, at a zero-based training step where there is one. */
  constructor(complaint: Complaint, step?: number) {
    super(complain(complaint));
    this.step = step;
  }
}

/** A WGSL kernel that does not compile, or that was bound wrongly. A bug in winnow or in a driver. */
export class KernelError extends Error {
  /** `KernelError`, which survives minifying. */
  override readonly name: string = "KernelError";
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
  }
}

/** Something that is used when it may not be: after it was disposed of, or while another call on it is under way. */
export class StateError extends Error {
  /** `StateError`, which survives minifying. */
  override readonly name: string = "StateError";
  /** An error that reads as the complaint. */
  constructor(complaint: Complaint) {
    super(complain(complaint));
  }
}

/** The error of using what was disposed of: its kind, such as `model`, and its name. */
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
