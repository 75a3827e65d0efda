import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { ask } from "../api/client.ts";
import type { Cohort, Schema } from "../api/types.ts";
import type { Session } from "../session.ts";
import { type Vocabulary, vocabulary } from "./vocabulary.ts";

/** Events and properties of the app; nothing until they are there. `settled` when they are, or will not come. */
export function useSchema(session: Session): { schema: Schema | undefined; settled: boolean } {
  const { data, isPending } = useQuery({ queryKey: ["schema", session.app, session.key], queryFn: ({ signal }) => ask<Schema>(session, "schema", undefined, signal), staleTime: 60_000 });
  return { schema: data, settled: !isPending };
}

/** The app's cohorts by name; none until they are there, and none where the server cannot tell. */
export function useCohorts(session: Session): { cohorts: Cohort[]; known: boolean; error: Error | null } {
  const { data, error } = useQuery({ queryKey: ["cohorts", session.app], queryFn: ({ signal }) => ask<{ cohorts: Cohort[] }>(session, "cohorts", undefined, signal), staleTime: 60_000 });
  return { cohorts: data?.cohorts ?? NONE, known: data !== undefined, error };
}

const NONE: Cohort[] = [];

/** Names and values of the app; empty until the schema is there. */
export function useVocabulary(session: Session): Vocabulary {
  const { schema, settled } = useSchema(session);
  const { cohorts } = useCohorts(session);
  return useMemo(() => vocabulary(schema, cohorts, settled), [schema, cohorts, settled]);
}
