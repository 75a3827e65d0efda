import { useMemo } from "react";

import { useVocabulary } from "../builder/useVocabulary.ts";
import { Explanation } from "../funnels/Explanation.tsx";
import { readFunnel } from "../funnels/funnel.ts";
import { funnelRequest, missingPart } from "../funnels/request.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";

/** Why the funnel that a person was found in counts them as it does. */
export function FunnelReason({ session, person, search }: { session: Session; person: string; search: string }) {
  const funnel = useMemo(() => readFunnel(search), [search]);
  const words = useVocabulary(session);
  const missing = missingPart(funnel);
  if (missing !== null) return <p className="small quiet">{missing}</p>;
  if (!words.settled) return <Bone height={80} />;
  return <Explanation session={session} request={funnelRequest(funnel, words.typesOf)} person={person} folded />;
}
