import { createContext, useContext } from "react";

import type { Entry } from "./useEntry.ts";

/** Who looks at the pages, for those that are about that. */
export const EntryContext = createContext<Entry | null>(null);

export function useWho(): Entry {
  const entry = useContext(EntryContext);
  if (entry === null) throw new Error("a page outside of the frame");
  return entry;
}
