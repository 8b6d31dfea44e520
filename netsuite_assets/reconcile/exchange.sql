-- Money exchanged and rounded without any binary fraction.
-- The smallest unit of a currency of so many places, in ten-thousandths.
CREATE OR REPLACE TEMP MACRO unit_of(places) AS (CASE places WHEN 0 THEN 10000 WHEN 3 THEN 10 ELSE 100 END)::HUGEINT;

-- An amount rounded to a currency's places, half away from zero.
CREATE OR REPLACE TEMP MACRO to_places(amount, places) AS CASE places
    WHEN 0 THEN round(amount, 0) WHEN 3 THEN round(amount, 3) ELSE round(amount, 2) END::DECIMAL(18, 4);

-- amount * posted / total, rounded half away from zero.
CREATE OR REPLACE TEMP MACRO at_posted_rate(amount, posted, total, places) AS (
    sign(amount)::INTEGER * ((2 * (abs(amount) * 10000)::HUGEINT * (abs(posted) * 10000)::HUGEINT
        + (abs(total) * 10000)::HUGEINT * unit_of(places)) // (2 * (abs(total) * 10000)::HUGEINT * unit_of(places)))
    * unit_of(places) * 0.0001)::DECIMAL(18, 4);
