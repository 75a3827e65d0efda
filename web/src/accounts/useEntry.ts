import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";

import { forgetAdminKeys } from "../adminKey.ts";
import { asApiError } from "../api/client.ts";
import { goTo } from "../location.ts";
import { type KeySession, type Session, forgetSession, loadSession, saveSession } from "../session.ts";
import { forgetStatements } from "../sql/history.ts";
import { type Me, askMe, askSetUp, logOut } from "./calls.ts";

/** Who looks. */
export type Who =
  | { kind: "asking" }
  /** `wanted` is the way in that was used last; `setUp` says that nobody has an account yet. */
  | { kind: "nobody"; setUp: boolean; wanted: "login" | "key" }
  | { kind: "key"; session: KeySession }
  | { kind: "login"; me: Me };

export interface Entry {
  who: Who;
  /** The app on show; null for somebody without an app. */
  session: Session | null;
  /** Somebody logged in, or may open other apps than before. */
  enter: (me: Me, app?: string) => void;
  /** A key was tried and is good. */
  connect: (session: KeySession) => void;
  /** Logs out, or forgets the key. */
  leave: () => void;
  /** Asks anew who is logged in and what they may: something was refused. */
  askAgain: () => void;
  /** Shows another app. */
  open: (app: string) => void;
}

const STORAGE_KEY = "throng.app";

/** The app this tab showed last, else any tab. Where the browser keeps nothing, the first one is shown. */
function lastApp(): string | null {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function rememberApp(app: string): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, app);
    localStorage.setItem(STORAGE_KEY, app);
  } catch {
    // The next tab begins with the first app.
  }
}

/** The app to show of those one may open. */
export function appToShow(me: Me, wanted: string | null): Session | null {
  const app = me.apps.find(({ app_id }) => app_id === wanted) ?? me.apps[0];
  return app === undefined ? null : { app: app.app_id, key: null, role: app.role };
}

async function askWho(): Promise<Who> {
  try {
    return { kind: "login", me: await askMe() };
  } catch (error) {
    const open = await askSetUp().then(
      (answer) => answer.open,
      () => false,
    );
    return { kind: "nobody", setUp: open, wanted: open && asApiError(error).status === 401 ? "key" : "login" };
  }
}

/** Who looks, kept for the whole app: a key of this tab comes first, then the login of the browser. */
export function useEntry(): Entry {
  const [who, setWho] = useState<Who>(() => {
    const session = loadSession();
    return session === null ? { kind: "asking" } : { kind: "key", session };
  });
  const [app, setApp] = useState(lastApp);
  const queries = useQueryClient();
  useEffect(() => {
    if (who.kind !== "asking") return;
    let gone = false;
    void askWho().then((found) => {
      if (!gone) setWho(found);
    });
    return () => {
      gone = true;
    };
  }, [who.kind]);
  const open = useCallback(
    (wanted: string) => {
      // Nothing that one app was asked is shown in the next, and what its address asks may not be there.
      queries.clear();
      rememberApp(wanted);
      setApp(wanted);
      goTo(window.location.pathname);
    },
    [queries],
  );
  const known = who.kind === "login" ? who.me.account.account_id : null;
  const enter = useCallback(
    (me: Me, wanted?: string) => {
      forgetSession();
      // Somebody else is shown nothing of it.
      if (me.account.account_id !== known) queries.clear();
      if (wanted !== undefined) {
        rememberApp(wanted);
        setApp(wanted);
      }
      setWho({ kind: "login", me });
    },
    [queries, known],
  );
  const connect = useCallback((session: KeySession) => {
    saveSession(session);
    setWho({ kind: "key", session });
  }, []);
  const session = useMemo(() => (who.kind === "key" ? who.session : who.kind === "login" ? appToShow(who.me, app) : null), [who, app]);
  const shown = session?.app;
  const leave = useCallback(() => {
    forgetSession();
    // Nothing that one of them was told is shown to the next.
    queries.clear();
    forgetAdminKeys();
    if (shown !== undefined) forgetStatements(shown);
    setWho({ kind: "nobody", setUp: false, wanted: who.kind === "key" ? "key" : "login" });
    // Where the login has ended already, there is nothing to end.
    if (who.kind === "login") void logOut().catch(() => undefined);
  }, [queries, shown, who.kind]);
  const askAgain = useCallback(() => {
    queries.clear();
    setWho({ kind: "asking" });
  }, [queries]);
  return useMemo(() => ({ who, session, enter, connect, leave, askAgain, open }), [who, session, enter, connect, leave, askAgain, open]);
}
