using ModelSdk.Manifest;

namespace ModelSdk.Training;

/// <summary>A question that was drawn.</summary>
/// <param name="Question">Index of the question.</param>
/// <param name="Budget">The stated budget, in tokens; null: none is stated.</param>
/// <param name="Seed">Seed of its samples.</param>
internal readonly record struct GrpoDraw(int Question, int? Budget, ulong Seed);

/// <summary>Which questions are drawn, with which budgets: functions of seed and number of the draw alone, so that resuming needs no state.</summary>
/// <param name="questions">Questions in the data.</param>
/// <param name="settings">Budgets.</param>
/// <param name="seed">Seed of the run.</param>
internal sealed class GrpoSchedule(int questions, BudgetForcingSettings settings, long seed)
{
    private (long Epoch, int[] Order) _pass = (-1, []);

    /// <summary>The draw with this number: questions come without replacement, shuffled anew in each pass.</summary>
    /// <param name="number">From 0.</param>
    /// <param name="factor">Budgets are multiplied by it.</param>
    public GrpoDraw Draw(long number, double factor)
    {
        var epoch = number / questions;
        if (_pass.Epoch != epoch)
        {
            _pass = (epoch, SftSchedule.Shuffle(questions, seed, (int)epoch));
        }

        var dice = new Dice(unchecked(((ulong)seed * 0xBF58476D1CE4E5B9) ^ ((ulong)number * 0xD1B54A32D192ED03) ^ 0x6A09E667F3BCC909));
        var stated = dice.Fraction() < settings.StatedShare;
        var bucket = settings.Budgets[(int)(dice.Next() % (ulong)settings.Budgets.Count)];
        return new GrpoDraw(_pass.Order[(int)(number % questions)], stated ? Math.Max(1, (int)Math.Round(bucket * factor)) : null, dice.Next());
    }
}

/// <summary>SplitMix64: the same on every platform and version.</summary>
internal struct Dice(ulong state)
{
    private ulong _state = state;

    public ulong Next()
    {
        unchecked
        {
            _state += 0x9E3779B97F4A7C15;
            var z = _state;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }

    /// <summary>A number in [0, 1).</summary>
    public double Fraction() => (Next() >> 11) * (1.0 / (1UL << 53));
}
