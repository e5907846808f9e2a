using System.Diagnostics;
using System.Globalization;
using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;
using ModelSdk.Training;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace MathTutor.Recipe.Pretraining;

/// <summary>Trains the base from random weights. Reads top to bottom: text, model, optimizers, loop, checkpoint.</summary>
internal static class Pretrainer
{
    /// <summary>Trains, or goes on from the newest checkpoint in <paramref name="workFolder"/>, and writes the checkpoint in Hugging Face layout.</summary>
    public static void Run(PretrainingOptions options, string baseFolder, string workFolder, Action<string> log)
    {
        Directory.CreateDirectory(workFolder);
        DataFiles data = DataFiles.Create();
        var tokenizer = new BpeEncoder(Path.Combine(baseFolder, "tokenizer.json"));
        var batches = new Batches(tokenizer, options.TokensPerStep, options.Context);

        using Transformer model = Transformer.Create(BaseFiles.Config(options, (tokenizer.Count + 63) / 64 * 64), options.Seed);
        using var muon = new Muon(model.Parameters.Where(p => p.Kind == ParameterKind.Matrix), weightDecay: options.MatrixDecay);
        using var adam = new AdamW(model.Parameters.Where(p => p.Kind != ParameterKind.Matrix).Select(p => p.Value), beta2: 0.95);
        var state = new PretrainingState(Path.Combine(workFolder, "state.bin"), [.. model.Parameters.Select(p => p.Value), .. muon.State, .. adam.State]);
        var probes = new Probes(batches, data.HeldOut, 64);
        log(string.Create(CultureInfo.InvariantCulture, $"{BaseFiles.Count(model) / 1e6:0.00}M parameters, {tokenizer.Count} tokens in the vocabulary, {options.Tokens / 1e6:0.0}M tokens to read"));

        // Text is made a pool at a time; a pool's randomness depends on its number alone, so that a resumed training reads the same.
        Progress at = state.Load() ?? new Progress(0, 0, 0, 0, 0);
        adam.Steps = at.Steps;
        Task<IReadOnlyList<TokenBatch>> Pool(long number, double done) => Task.Run(() =>
        {
            var dice = Dice.For((ulong)options.Seed, string.Create(CultureInfo.InvariantCulture, $"pool {number}"));
            var mixture = new Mixture(dice, data.HeldOut, data.SmallTalk);
            Diet diet = PretrainingOptions.Diet(done);
            return batches.Next(dice, () => mixture.Next(diet));
        });

        var clock = Stopwatch.StartNew();
        long since = at.Tokens;
        (double loss, double weight) = (0, 0);
        Task<IReadOnlyList<TokenBatch>> next = Pool(at.Pools, at.PoolDone);
        while (at.Tokens < options.Tokens)
        {
            IReadOnlyList<TokenBatch> pool = next.GetAwaiter().GetResult();
            double nextDone = Done(at, options);
            next = Pool(at.Pools + 1, nextDone);
            foreach (TokenBatch batch in pool)
            {
                using var scope = NewDisposeScope();
                Tensor mean = model.Loss(batch);
                mean.backward();
                GradientClipping.Clip(model.Parameters.Select(p => p.Value), options.MaxGradientNorm);
                double rate = options.Rate(Done(at, options));
                muon.Step(options.MatrixRate * rate);
                adam.Step(options.OtherRate * rate);
                (loss, weight) = ((loss * 0.98) + mean.item<float>(), (weight * 0.98) + 1);
                at = at with { Steps = at.Steps + 1, Tokens = at.Tokens + batch.Ids.Length };
                if (at.Steps % 50 == 0)
                {
                    log(string.Create(
                        CultureInfo.InvariantCulture,
                        $"step {at.Steps} tokens {at.Tokens / 1e6:0.00}M loss {loss / weight:0.0000} rate {rate:0.000} {(at.Tokens - since) / clock.Elapsed.TotalSeconds:0} tokens/s {at.Seconds + clock.Elapsed.TotalSeconds:0} s"));
                }

                if (at.Steps % options.ProbeEvery == 0)
                {
                    log(string.Join("  ", probes.Measure(model).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}: {p.Percent:0}"))));
                }
            }

            at = at with { Pools = at.Pools + 1, PoolDone = nextDone };
            if (at.Pools % options.SaveEveryPools == 0)
            {
                state.Save(at with { Seconds = at.Seconds + clock.Elapsed.TotalSeconds });
                BaseFiles.Write(model, Path.Combine(workFolder, "latest"));
            }
        }

        log(string.Join("  ", new Probes(batches, data.HeldOut, 400).Measure(model).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}: {p.Percent:0.0}"))));
        BaseFiles.Write(model, baseFolder);
        log(string.Create(CultureInfo.InvariantCulture, $"{at.Steps} steps, {at.Tokens} tokens, {at.Seconds + clock.Elapsed.TotalSeconds:0} s -> {baseFolder}"));
    }

    private static double Done(Progress at, PretrainingOptions options) => Math.Min(1, (double)at.Tokens / options.Tokens);
}
