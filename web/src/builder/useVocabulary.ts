import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { ask } from "../api/client.ts";
import type { Schema } from "../api/types.ts";
import type { Session } from "../session.ts";
import { type Vocabulary, vocabulary } from "./vocabulary.ts";

/** Events and properties of the app; nothing until they are there. */
export function useSchema(session: Session): Schema | undefined {
  return useQuery({ queryKey: ["schema", session.app], queryFn: ({ signal }) => ask<Schema>(session, "schema", undefined, signal), staleTime: 60_000 }).data;
}

/** Names and values of the app; empty until the schema is there. */
export function useVocabulary(session: Session): Vocabulary {
  const schema = useSchema(session);
  return useMemo(() => vocabulary(schema), [schema]);
}
