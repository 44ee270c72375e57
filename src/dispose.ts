/**
 * What disposal takes where a runtime lacks it: some browsers know neither `Symbol.dispose` nor `DisposableStack`. Entries
 * import this file first, since classes name the symbol while they are loaded.
 *
 * @module
 */

/** Gives symbols the one for disposal where it is missing: the one that bundlers take when they rewrite `using`. */
export function provideDispose(symbols: { readonly dispose?: symbol; for(key: string): symbol }): void {
  if (symbols.dispose === undefined) {
    Object.defineProperty(symbols, "dispose", { value: symbols.for("Symbol.dispose") });
  }
}

provideDispose(Symbol);

/** Holds resources, and disposes of them in the opposite order, as `DisposableStack` does. */
export class Owner implements Disposable {
  #held: Disposable[] = [];

  /** Holds a resource, and returns it. */
  use<Resource extends Disposable>(resource: Resource): Resource {
    this.#held.push(resource);
    return resource;
  }

  /** A new owner of all that is held; this one holds nothing then. */
  move(): Owner {
    const owner = new Owner();
    [owner.#held, this.#held] = [this.#held, []];
    return owner;
  }

  /** Disposes of all that is held, even where some of it fails, and throws the first error then. */
  [Symbol.dispose](): void {
    const errors: unknown[] = [];
    for (const resource of this.#held.splice(0).reverse()) {
      try {
        resource[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
