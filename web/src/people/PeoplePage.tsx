import { useMemo } from "react";

import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Page } from "../ui/Page.tsx";
import { FoundPeople } from "./FoundPeople.tsx";
import { PersonPage } from "./PersonPage.tsx";
import { Receipt } from "./Receipt.tsx";
import { type View, readView, writeView } from "./view.ts";

/** Who was seen last, whoever is searched for, and everything about one of them. */
export default function PeoplePage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const view = useMemo(() => readView(search), [search]);
  const onView = (changed: View, replace = false) => {
    goTo(`/people${writeView(changed)}`, replace);
  };
  return (
    <Page title="People" about={view.show === "person" ? "One of them" : view.show === "deletion" ? "A deletion" : "Who is behind the events"}>
      {view.show === "list" && <FoundPeople session={session} onDisconnect={onDisconnect} view={view} onView={onView} />}
      {view.show === "person" && <PersonPage key={view.id} session={session} onDisconnect={onDisconnect} view={view} onView={onView} />}
      {view.show === "deletion" && <Receipt key={view.id} session={session} id={view.id} />}
    </Page>
  );
}
