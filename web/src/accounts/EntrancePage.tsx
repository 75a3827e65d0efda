import { useState } from "react";

import { ConnectPage } from "../ConnectPage.tsx";
import { LoginForm } from "./LoginForm.tsx";
import type { Entry } from "./useEntry.ts";

interface EntrancePageProps {
  entry: Entry;
  setUp: boolean;
  wanted: "login" | "key";
}

/** Asks for a login, or for a key. */
export function EntrancePage({ entry, setUp, wanted }: EntrancePageProps) {
  const [way, setWay] = useState(wanted);
  if (way === "key") {
    return (
      <ConnectPage
        onConnect={entry.connect}
        onLogIn={() => {
          setWay("login");
        }}
      />
    );
  }
  return (
    <LoginForm
      about={setUp ? "Nobody has an account yet. The server printed a link when it started: it makes the first one." : undefined}
      onMe={(me) => {
        entry.enter(me);
      }}
      end={
        <button
          type="button"
          className="link small"
          onClick={() => {
            setWay("key");
          }}
        >
          Use a read key
        </button>
      }
    />
  );
}
