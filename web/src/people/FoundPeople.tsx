import { Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { Answered } from "../builder/Answered.tsx";
import { Facts } from "../builder/Facts.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { useAnswer } from "../builder/useAnswer.ts";
import { momentLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import type { PageProps, Session } from "../session.ts";
import type { SqlAnswer } from "../sql/answer.ts";
import { writeStatement } from "../sql/statement.ts";
import { Bone } from "../ui/Bone.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { type ListedPerson, listedPersons, recentStatement, searchStatement } from "./statements.ts";
import { useAsk } from "./useAsk.ts";
import { LISTS, type View, personAddress, writeView } from "./view.ts";

/** As long as an id may be. */
const MAX_ID = 255;

type ListView = Extract<View, { show: "list" }>;

interface FoundProps extends PageProps {
  view: ListView;
  onView: (view: View) => void;
}

function SearchForm({ search, onSearch }: { search: string; onSearch: (text: string) => void }) {
  const [draft, setDraft] = useState(search);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onSearch(draft.trim());
  };
  return (
    <form className="panel person-search" role="search" onSubmit={submit}>
      <TextInput
        label="User id or anonymous id"
        description="Whole, or how it begins. Upper and lower case are different letters."
        type="search"
        maxLength={MAX_ID}
        autoComplete="off"
        spellCheck={false}
        value={draft}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
        }}
      />
      <div className="buttons">
        <Button type="submit" size="sm">
          Search
        </Button>
        {search !== "" && (
          <Button
            variant="default"
            size="sm"
            onClick={() => {
              onSearch("");
            }}
          >
            Clear
          </Button>
        )}
      </div>
    </form>
  );
}

/** Another id of the person, where one tells more than the id that stands for them. */
function alsoCalled({ person, userId, anonymousId, found }: ListedPerson): string | null {
  const other = found !== null && found !== person ? found : [userId, anonymousId].find((id) => id !== null && id !== person);
  return other ?? null;
}

function PersonTable({ persons, from }: { persons: readonly ListedPerson[]; from: string }) {
  return (
    <div className="panel person-list tabular">
      <table className="person-table" aria-label="Persons">
        <thead>
          <tr>
            <th scope="col">Person</th>
            <th scope="col">Last seen</th>
            <th scope="col" className="wide-only">
              First seen
            </th>
            <th scope="col" className="amount">
              Events
            </th>
          </tr>
        </thead>
        <tbody>
          {persons.map((row) => {
            const also = alsoCalled(row);
            return (
              <tr key={row.person}>
                <th scope="row">
                  <div className="person-cell">
                    <Link className="link cut" href={personAddress(row.person, from)} title={row.person}>
                      {row.person}
                    </Link>
                    {also !== null && (
                      <span className="small quiet cut" title={also}>
                        {also}
                      </span>
                    )}
                  </div>
                </th>
                <td>{momentLabel(row.lastSeen)}</td>
                <td className="wide-only">{momentLabel(row.firstSeen)}</td>
                <td className="amount">{fullNumber(row.events)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** A person whom the text is a whole id of; also an id without an event of its own, which no list finds. */
function Exact({ session, search, from }: { session: Session; search: string; from: string }) {
  const { data } = useAsk<{ persons: { person: string }[] }>(session, "cohorts/preview", search === "" ? null : { segment: { persons: [search] }, limit: 1 });
  const person = data?.persons[0]?.person;
  if (person === undefined) return null;
  return (
    <p className="panel person-exact">
      <span className="small quiet">{person === search ? "Exactly this id" : `${search} is an id of`}</span>
      <Link className="link cut" href={personAddress(person, from)}>
        {person}
      </Link>
    </p>
  );
}

function Nobody({ search }: { search: string }) {
  return search === "" ? (
    <Message title="Nobody yet">
      <p className="quiet">A person appears with their first event that has a user id or an anonymous id.</p>
    </Message>
  ) : (
    <Message title="No id begins like this">
      <p className="quiet">
        No stored event has a user id or an anonymous id that begins with <strong className="any-text">{search}</strong>. A shorter beginning finds more.
      </p>
    </Message>
  );
}

/** Persons by the time they were seen last: all, or those whom the search finds. */
export function FoundPeople({ session, onDisconnect, view, onView }: FoundProps) {
  const { search, shown } = view;
  const statement = search === "" ? recentStatement(shown) : searchStatement(search, shown);
  const request = JSON.stringify({ sql: statement });
  const asked = useAnswer<SqlAnswer>(session, "sql", request);
  const from = `/people${writeView(view)}`;
  const larger = LISTS.find((size) => size > shown);
  return (
    <>
      <SearchForm
        key={search}
        search={search}
        onSearch={(text) => {
          onView({ show: "list", search: text, shown: LISTS[0] });
        }}
      />
      <Exact session={session} search={search} from={from} />
      <Answered asked={asked} missing={null} bones={<Bone height={320} />} onDisconnect={onDisconnect}>
        {(answer) => {
          const persons = listedPersons(answer);
          if (persons.length === 0) return <Nobody search={search} />;
          const more = persons.length > shown;
          return (
            <>
              <p className="small quiet">
                {more ? `The ${fullNumber(shown)} seen last` : persons.length === 1 ? "1 person" : `All ${fullNumber(persons.length)} persons, the one seen last first`}
                {search === "" ? ", over all stored events." : ", with an id that begins like this."}
              </p>
              <PersonTable persons={persons.slice(0, shown)} from={from} />
              {more && larger !== undefined && (
                <Link className="button-like person-more" href={`/people${writeView({ ...view, shown: larger })}`}>
                  Show {fullNumber(larger)}
                </Link>
              )}
              {more && larger === undefined && (
                <p className="small quiet">
                  No more are listed here. A search narrows them down, and{" "}
                  <Link className="link" href={`/sql${writeStatement({ sql: statement, view: "table" })}`}>
                    SQL
                  </Link>{" "}
                  lists 100,000.
                </p>
              )}
              <Facts answer={answer} />
              <RequestDisclosure session={session} call="sql" request={request} />
            </>
          );
        }}
      </Answered>
    </>
  );
}
