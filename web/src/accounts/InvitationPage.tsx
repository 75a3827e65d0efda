import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { asApiError } from "../api/client.ts";
import { goTo } from "../location.ts";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { AccountFields, NO_ACCOUNT } from "./AccountFields.tsx";
import { EntranceForm } from "./EntranceForm.tsx";
import { LoginForm } from "./LoginForm.tsx";
import { type Me, type Offer, acceptInvitation, lookAtInvitation } from "./calls.ts";
import { takeToken } from "./token.ts";
import type { Entry } from "./useEntry.ts";

const MAY: Record<Offer["role"], string> = {
  viewer: "ask questions",
  editor: "ask questions, and save cohorts, funnels and dashboards",
  owner: "do everything: also change settings, keys and members",
};

function About({ offer }: { offer: Offer }) {
  return (
    <p>
      {offer.invited_by} invites you to <strong>{offer.app_name}</strong> as {offer.role}: you may {MAY[offer.role]}.
    </p>
  );
}

function Lost({ text }: { text: string }) {
  return (
    <main className="alone">
      <Message title="No invitation">
        <p className="quiet">{text}</p>
        <Link href="/" className="link">
          Go to Throng
        </Link>
      </Message>
    </main>
  );
}

/** Joins an app by a link: with the account one has, or with a new one. */
export function InvitationPage({ entry }: { entry: Entry }) {
  const [token] = useState(takeToken);
  const [account, setAccount] = useState(NO_ACCOUNT);
  const [known, setKnown] = useState(false);
  const { data: offer, error } = useQuery({ queryKey: ["invitation", token], queryFn: () => lookAtInvitation(token ?? ""), enabled: token !== null, staleTime: Infinity });
  if (token === null) return <Lost text="The link is not whole: open it as you were given it." />;
  if (error !== null) return <Lost text={asApiError(error).message} />;
  if (offer === undefined || entry.who.kind === "asking") return null;
  const joined = (me: Me) => {
    goTo("/", true);
    entry.enter(me, offer.app_id);
  };
  const join = async () => {
    joined(await acceptInvitation(token));
  };
  if (entry.who.kind === "login") {
    const { name, email } = entry.who.me.account;
    return (
      <EntranceForm title="Join an app" about={<About offer={offer} />} submit={`Join as ${name}`} onSubmit={join}>
        {() => <p className="small quiet">You are logged in as {email}.</p>}
      </EntranceForm>
    );
  }
  if (known) return <LoginForm about={<About offer={offer} />} onMe={join} />;
  return (
    <EntranceForm
      title="Join an app"
      about={<About offer={offer} />}
      submit="Make an account and join"
      onSubmit={async () => {
        joined(await acceptInvitation(token, account));
      }}
      end={
        <button
          type="button"
          className="link small"
          onClick={() => {
            setKnown(true);
          }}
        >
          I have an account
        </button>
      }
    >
      {(refusal) => <AccountFields account={account} onChange={setAccount} error={refusal} />}
    </EntranceForm>
  );
}
