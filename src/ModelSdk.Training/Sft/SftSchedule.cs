using ModelSdk.Manifest;

namespace ModelSdk.Training;

/// <summary>Which examples a step sees and how fast it learns: functions of seed and step alone, so that resuming needs no state.</summary>
internal static class SftSchedule
{
    /// <summary>Steps of the whole run.</summary>
    public static int Steps(SftSettings settings, int examples) =>
        settings.Steps ?? Math.Max(1, (int)Math.Ceiling((settings.Epochs ?? 1) * examples / settings.BatchSize));

    /// <summary>Examples of each step: passes over the data, shuffled anew each time; a pass's rest joins the next one's start.</summary>
    public static IReadOnlyList<int[]> Order(int examples, int batchSize, int steps, long seed)
    {
        var order = new List<int[]>(steps);
        var pass = Shuffle(examples, seed, 0);
        int epoch = 0, at = 0;
        for (var step = 0; step < steps; step++)
        {
            var batch = new int[batchSize];
            for (var i = 0; i < batchSize; i++)
            {
                if (at == examples)
                {
                    pass = Shuffle(examples, seed, ++epoch);
                    at = 0;
                }

                batch[i] = pass[at++];
            }

            order.Add(batch);
        }

        return order;
    }

    /// <summary>Linear warm-up from 0, then a cosine to 0.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="settings">Peak rate and warm-up share.</param>
    public static double LearningRate(int step, int steps, SftSettings settings)
    {
        var warmup = (int)Math.Ceiling(settings.Warmup * steps);
        if (step < warmup)
        {
            return settings.LearningRate * (step + 1) / warmup;
        }

        var progress = (double)(step - warmup + 1) / (steps - warmup + 1);
        return settings.LearningRate * 0.5 * (1 + Math.Cos(Math.PI * progress));
    }

    /// <summary>Fisher-Yates with SplitMix64: the same on every platform and version.</summary>
    private static int[] Shuffle(int count, long seed, int epoch)
    {
        var state = unchecked(((ulong)seed * 0x9E3779B97F4A7C15) ^ ((ulong)epoch * 0xD1B54A32D192ED03));
        var items = Enumerable.Range(0, count).ToArray();
        for (var i = count - 1; i > 0; i--)
        {
            var other = (int)(Next() % (ulong)(i + 1));
            (items[i], items[other]) = (items[other], items[i]);
        }

        return items;

        ulong Next()
        {
            unchecked
            {
                state += 0x9E3779B97F4A7C15;
                var z = state;
                z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
                z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
                return z ^ (z >> 31);
            }
        }
    }
}
