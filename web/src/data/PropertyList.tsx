import type { Schema, SchemaProperty } from "../api/types.ts";
import { fullNumber, shortNumber, valueLabel } from "../format.ts";
import { goTo } from "../location.ts";
import { Find } from "./Find.tsx";
import { partOf } from "./ledger.ts";
import { isMixed, matching, propertyShare } from "./names.ts";
import { MAX_ROWS, type View, writeView } from "./view.ts";

export function Types({ types }: { types: readonly string[] }) {
  return (
    <>
      <span>{types.length === 0 ? "–" : types.join(", ")}</span>
      {isMixed(types) && (
        <span className="data-mark small" data-mark="mixed" title="Values of several types: often two senders that disagree">
          Mixed
        </span>
      )}
    </>
  );
}

export function Samples({ values }: { values: readonly unknown[] }) {
  return values.map((value, at) => (
    <code key={at} className="data-sample cut" title={valueLabel(value)}>
      {valueLabel(value)}
    </code>
  ));
}

/** What stands in a row; more are behind its name. */
const ROW_SAMPLES = 4;

function PropertyRow({ property, schema, view }: { property: SchemaProperty; schema: Schema; view: View }) {
  const { name, types, events, sample_values } = property;
  const share = propertyShare(property, schema.events);
  return (
    <tr>
      <th scope="row">
        <button
          type="button"
          className="data-open cut"
          title={name}
          onClick={() => {
            goTo(`/data${writeView({ ...view, open: name })}`);
          }}
        >
          {valueLabel(name)}
        </button>
        <span className="data-phone small quiet">
          <Types types={types} />
        </span>
      </th>
      <td className="data-wide">
        <Types types={types} />
      </td>
      <td className="amount" title={fullNumber(events)}>
        {shortNumber(events)}
      </td>
      <td className="amount">{share === null ? "–" : partOf(share, 1)}</td>
      <td className="data-wide data-samples">
        <span>
          <Samples values={sample_values.slice(0, ROW_SAMPLES)} />
        </span>
      </td>
    </tr>
  );
}

interface PropertyListProps {
  view: View;
  schema: Schema;
  onChange: (view: View, replace?: boolean) => void;
}

/** Every property with its types, how many events have it, and what it holds. */
export function PropertyList({ view, schema, onChange }: PropertyListProps) {
  const found = matching(schema.properties, view.find);
  const rows = found.slice(0, MAX_ROWS);
  return (
    <section className="panel data-list" aria-label="Properties">
      <header>
        <Find
          label="Search properties"
          value={view.find}
          onChange={(find) => {
            onChange({ ...view, find }, true);
          }}
        />
      </header>
      {rows.length === 0 ? (
        <p className="data-none quiet">{view.find === "" ? "No event has a property yet." : `No property that contains “${view.find}” is known.`}</p>
      ) : (
        <table className="data-table tabular">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" className="data-wide">Types</th>
              <th scope="col" className="amount">Events</th>
              <th scope="col" className="amount">Share</th>
              <th scope="col" className="data-wide">Samples</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((property) => (
              <PropertyRow key={property.name} property={property} schema={schema} view={view} />
            ))}
          </tbody>
        </table>
      )}
      {found.length > rows.length && (
        <p className="data-none small quiet">
          {fullNumber(rows.length)} of {fullNumber(found.length)} properties; search for the others.
        </p>
      )}
      <p className="data-foot small quiet">Of all stored events, whatever the range. Mixed: values of several types, often two senders that disagree.</p>
    </section>
  );
}
