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

    /// <inheritdoc cref="LearningRate(int, int, double, double)"/>
    public static double LearningRate(int step, int steps, SftSettings settings) => LearningRate(step, steps, settings.LearningRate, settings.Warmup);

    /// <summary>Linear warm-up from 0, then a cosine to 0.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="steps">Steps of the whole run.</param>
    /// <param name="peak">Peak rate.</param>
    /// <param name="warmupShare">Share of the steps in which the rate rises.</param>
    public static double LearningRate(int step, int steps, double peak, double warmupShare)
    {
        var warmup = (int)Math.Ceiling(warmupShare * steps);
        if (step < warmup)
        {
            return peak * (step + 1) / warmup;
        }

        var progress = (double)(step - warmup + 1) / (steps - warmup + 1);
        return peak * 0.5 * (1 + Math.Cos(Math.PI * progress));
    }

    /// <summary>Fisher-Yates with SplitMix64: the same on every platform and version.</summary>
    public static int[] Shuffle(int count, long seed, int epoch)
    {
        var dice = new Dice(unchecked(((ulong)seed * 0x9E3779B97F4A7C15) ^ ((ulong)epoch * 0xD1B54A32D192ED03)));
        var items = Enumerable.Range(0, count).ToArray();
        for (var i = count - 1; i > 0; i--)
        {
            var other = (int)(dice.Next() % (ulong)(i + 1));
            (items[i], items[other]) = (items[other], items[i]);
        }

        return items;
    }
}
